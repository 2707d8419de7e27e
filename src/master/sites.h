// All sites: asleep, waking, up, being replaced, going away.
//
// Runs in: master.  Input: wake-up requests of front (ids only), messages of the sites.
//
// A site has at most one current life, one replacement on its way up, and any number of retired
// lives that finish their last requests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/protocol.h"
#include "loop/event_loop.h"
#include "master/load.h"
#include "master/log.h"
#include "master/plan.h"
#include "master/site_life.h"
#include "master/wake_gate.h"

namespace bulkhead::master {

// Log lines per second that a site may have in php-fpm's log; more are counted, not written.
constexpr uint32_t kLogLinesPerSecond = 2000;
// A site that ended comes back at once so often; then ever slower (Backoff).
constexpr int kRestartsAtOnce = 3;
// A request waits for a site's next start if that is due so soon; otherwise it is refused.
constexpr Millis kWakePatience{500};

class Sites {
 public:
  using Send =
      std::function<bool(uint32_t front, ipc::Op, std::string_view, std::span<const sys::FdRef>)>;
  struct Wiring {
    loop::EventLoop& loop;
    Reaper& reaper;
    Log& log;
    Kind kind;
    Send to_front;  // by its number
    // To the zygote of a PHP version; starts it when it is not there.  Which one it was, or 0.
    std::function<uint32_t(const std::string& php_version, ipc::Op, std::string_view,
                           std::span<const sys::FdRef>)>
        to_zygote;
    std::function<void()> on_change;  // a life began or ended
    Shares& shares;
  };
  explicit Sites(Wiring wiring);
  ~Sites();

  // Puts a configuration in force.  Pools that replace others become current once they are ready.
  void configure(const Loaded& loaded);
  // From now on sites live for this front.  What they have for fronts before it goes on until those
  // end: each front has its own ends of every ring.
  void use_front(uint32_t front, uint32_t loops);
  // A front wants the site.
  void wake(uint32_t front, uint32_t id);
  // Starts the pools that run without being asked (pm = static, dynamic).
  void start_eager();
  // Replaces every pool of a PHP version gracefully.
  void replace_all(const std::string& php_version);
  void on_forked(const ipc::ForkedBody& body, sys::Fd pidfd);
  void on_fork_failed(uint32_t site, int error);
  // Forks that this zygote had not answered are lost.
  void zygote_lost(uint32_t number);
  // A front is gone and took its ends of every ring with it: nobody asks these lives any more.
  void front_ended(uint32_t front);
  // A front refuses to talk to the site: it broke protocol.
  void refused(uint32_t front, uint32_t id);
  // New access log descriptors.
  void reopen_logs();
  // sites_exec.cc: commands (`bulkhead exec`)
  enum class CommandState : uint8_t { kReady, kStarting, kFailed, kGone };
  // Wakes the site when it sleeps.
  CommandState ready_for_command(uint32_t id);
  struct CommandUser {
    std::string name;  // the site's
    uid_t uid;
    gid_t gid;
  };
  // Hands a session to the site's pool.
  Result<CommandUser> begin_command(uint32_t id, sys::FdRef session);
  [[nodiscard]] std::optional<uid_t> user_of(uint32_t id) const;
  void stop_all(bool graceful, Millis patience);
  void kill_all();

  [[nodiscard]] bool all_ended() const { return lives_.empty(); }
  [[nodiscard]] bool has_pools() const;
  // Eager pools that are not ready yet.
  [[nodiscard]] size_t waiting_for_pools() const;

  struct Report {
    uint32_t id;
    std::string name, user, state;
    std::string sandbox, layers_off;  // "on", "strict", "off"; "view, pid"
    bool wide = false;
    bool has_pool;
    std::string php;  // version as configured, "" for the default
    std::string why;  // the newest start failed: its last words
    uint32_t workers_max = 0, restarts = 0;
    std::vector<pid_t> pids;
  };
  [[nodiscard]] std::vector<Report> report() const;

 private:
  struct Site {
    SiteSpec spec;
    SiteLife* current = nullptr;  // may be starting
    SiteLife* replacement = nullptr;
    Backoff backoff{kRestartsAtOnce};
    loop::Clock::time_point retry_at{};
    bool wanted = false;  // front waits for the restart
    std::unique_ptr<loop::Timer> restart;
    bool failed = false;              // the last life never became ready
    bool cannot_start = false;        // and said why, or could not even be made
    uint32_t restarts = 0;            // lives that ended unasked
    std::string why;                  // with cannot_start
    uint32_t lines = 0, dropped = 0;  // log lines this second
    int64_t second = 0;
  };
  enum class Announce : uint8_t { kNow, kWhenReady };
  [[nodiscard]] static bool is_eager(const Site& site);
  static SiteSpec spec_of(size_t index, const Loaded& loaded);
  bool start(Site& site);
  SiteLife* launch(Site& site, Announce announce, uint32_t front);
  Status begin(Site& site, SiteLife* life);
  void announce(const Site& site, SiteLife* life);
  void say_down(const SiteLife& life, uint32_t reason);
  void retire(SiteLife* life, bool graceful);
  void replace(Site& site);
  void resize(Site& site);
  void remove(uint32_t id);
  Millis restart_later(Site& site, Millis lived);
  void restart_in(Site& site, Millis delay);
  void restart(uint32_t id);
  void refuse(uint32_t front, uint32_t id);
  void wake_for_old(uint32_t front, Site& site);
  // Wakes who waited for its turn.
  void admit();
  void wake_now(uint32_t front, uint32_t id);
  void on_ready(SiteLife* life);
  void on_idle(SiteLife* life);
  void on_log(SiteLife* life, uint8_t level, std::string_view text);
  void on_ended(SiteLife* life);
  void log_end(const SiteLife& life);
  Site* find(uint32_t id);
  SiteLife* find_life(uint32_t site, uint32_t epoch);
  SiteLife* life_for(uint32_t front, uint32_t site);
  void problem(const Site& site, const std::string& text);

  Wiring w_;
  std::map<uint32_t, Site> sites_;
  std::vector<std::unique_ptr<SiteLife>> lives_;
  uint32_t next_epoch_ = 1;
  uint32_t front_ = 0;                     // whose current lives are
  std::map<uint32_t, uint32_t> loops_of_;  // by front
  Millis graceful_patience_{0};
  bool stopping_ = false;
  WakeGate gate_;
  loop::Timer gate_timer_{[this] { admit(); }};
};

}  // namespace bulkhead::master
