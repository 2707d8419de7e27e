// One run of one site: a pool forked by the zygote, or a bulkhead-files process.
//
// Runs in: master.  Input: the site's messages (hostile; checked by the permit table).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/pool_config.h"
#include "config/pool_limits.h"
#include "ipc/channel.h"
#include "loop/event_loop.h"
#include "master/children.h"
#include "master/shares.h"
#include "sandbox/site_policy.h"
#include "sys/process.h"
#include "sys/users.h"

namespace bulkhead::master {

// What a site is, by the configuration in force.
struct SiteSpec {
  uint32_t id = 0;
  std::string name;
  bool has_pool = false;
  config::PoolConfig pool;  // when has_pool
  config::PoolLimits limits;
  std::optional<sys::Identity> identity;  // unset: not root, stays the calling user
  sandbox::SitePolicy policy;
};

// The memory and the channels that front and the site share; front's ends wait here until
// announced.
struct SiteEnds {
  sys::Fd bell;                                        // pools only
  std::vector<sys::Fd> segments, wakes;                // pools only, one per loop
  std::vector<sys::Fd> front_channels, site_channels;  // one per loop
  static Result<SiteEnds> create(bool has_pool, uint32_t loops);
};

class SiteLife {
 public:
  struct Hooks {
    std::function<void(SiteLife*)> on_ready;
    std::function<void(SiteLife*)> on_idle;
    std::function<void(SiteLife*, uint8_t level, std::string_view text)> on_log;
    std::function<void(SiteLife*, const std::string& what)> on_violation;
    std::function<void(SiteLife*)> on_ended;  // the last call
  };
  SiteLife(loop::EventLoop& loop, Reaper& reaper, uint32_t site, uint32_t epoch, std::string name,
           Hooks hooks);
  ~SiteLife();

  // Starts bulkhead-files as the site's user.
  Status start_files(const SiteSpec& spec, SiteEnds* ends);
  // The message for the zygote: body and descriptors (owned by `ends`, `config` and the life).
  struct ForkRequest {
    ipc::ForkBody body;
    std::vector<sys::Fd> owned;  // config, site channel end, access log
    std::vector<sys::FdRef> fds;
  };
  Result<ForkRequest> prepare_fork(const SiteSpec& spec, const SiteEnds& ends);
  // The zygote's answer.
  void forked(pid_t pid, sys::Fd pidfd);
  void fork_failed();

  // Asks it to end; after `patience` (unless zero) it is killed.
  void stop(bool graceful, Millis patience);
  void kill();
  bool send(ipc::Op op, std::string_view payload = {}, std::span<const sys::FdRef> fds = {});

  [[nodiscard]] uint32_t site() const { return site_; }
  [[nodiscard]] uint32_t epoch() const { return epoch_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] pid_t pid() const { return child_.pid; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool stopping() const { return stopping_; }
  // It has said why it cannot start.
  [[nodiscard]] bool explained() const { return !explanation_.empty(); }
  [[nodiscard]] const std::string& explanation() const { return explanation_; }
  [[nodiscard]] const sys::Ended& how() const { return how_; }
  [[nodiscard]] Millis lived() const;

  uint32_t front = 0;      // the front it lives for
  uint32_t zygote = 0;     // which one was asked to fork it
  bool announced = false;  // that front knows it
  SiteEnds ends;           // front's part, until announced
  Shares::Run share;       // its control group

 private:
  // Takes the pidfd's readiness: a pool is the zygote's child, no SIGCHLD reaches us.
  class Watch : public loop::IoHandler {
   public:
    explicit Watch(SiteLife& life) : life_(life) {}
    void on_ready(uint32_t) override;

   private:
    SiteLife& life_;
  };
  Status open_channel(sys::Fd socket, ipc::Role role);
  void on_message(ipc::Op op, std::string_view payload);
  void ended();

  loop::EventLoop& loop_;
  Reaper& reaper_;
  const uint32_t site_, epoch_;
  const std::string name_;
  Hooks hooks_;
  Watch watch_;
  sys::Child child_;
  bool watched_ = false, ready_ = false, stopping_ = false, over_ = false;
  std::string explanation_;  // one line, bounded
  sys::Ended how_;
  std::unique_ptr<ipc::Channel> channel_;
  std::unique_ptr<loop::Timer> patience_;
  loop::Clock::time_point started_ = loop::Clock::now();
};

// How long a site's process may take until it is ready.
constexpr Millis kStartPatience{30'000};
// How long a process may take to end when told to end at once.
constexpr Millis kStopPatience{1'000};
// For the requests of a site that is configured no more, where process_control_timeout says
// nothing.
constexpr Millis kRemovedPatience{10'000};

}  // namespace bulkhead::master
