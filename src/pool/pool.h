// A site's pool: keeps its workers by the pm rules, opens its files for front, answers master.
//
// Runs in: pool (as the site's user).  Input: messages from master (trusted) and from front
// (hostile: handled by opener and ring); its workers' scoreboard and exit codes (hostile).
// Threads: one.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/pool_config.h"
#include "exec/sessions.h"
#include "ipc/channel.h"
#include "loop/event_loop.h"
#include "opener/opener.h"
#include "pool/access_log.h"
#include "pool/pm.h"
#include "pool/pool_log.h"
#include "pool/scoreboard.h"
#include "pool/worker_output.h"
#include "ring/worker_ring.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace bulkhead::pool {

// What pool_start has made ready.
struct Setup {
  config::PoolConfig config;
  std::unique_ptr<ring::WorkerRing> ring;
  std::vector<sys::Fd> channels;  // one per loop of front
  sys::Fd master;
  sys::Fd access_log;
  sys::Fd self_link;                        // sys/host_pid.h; may be invalid
  std::vector<sys::FdRef> kept_by_workers;  // what they need beside the access log
  sys::FdRef cache_lock;                    // opcache's lock file, if there is one
  PoolLog* log = nullptr;
};

class Pool final : private loop::IoHandler {
 public:
  static Result<std::unique_ptr<Pool>> create(Setup setup);
  ~Pool() override;
  // Until the pool has stopped; the exit code.
  int run();

  static constexpr std::chrono::milliseconds kMaintenance{1000};
  static constexpr std::chrono::milliseconds kRecheck{20};
  static constexpr std::chrono::milliseconds kDrainMax{10'000};
  static constexpr std::chrono::milliseconds kKillAfter{1000};

 private:
  struct Child {
    uint32_t index = 0;
    pid_t pid = -1;       // as this process sees it
    pid_t host_pid = -1;  // as the machine does: for logs
    int64_t started_us = 0;
    bool told_to_quit = false;  // by pm: not replaced
    int64_t terminated_us = 0;  // when request_terminate_timeout sent SIGTERM; 0: not
    std::unique_ptr<WorkerOutput> out, err;
  };
  struct ChildPipes {
    Pipe out, err;
  };
  enum class State : uint8_t { kRunning, kDraining, kStopping };

  explicit Pool(Setup setup);
  Status start();

  // pool.cc: the loop
  void on_ready(uint32_t events) override;  // signals
  void on_message(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds);
  void maintain();
  void check_requests();
  void check_idle_site();
  void apply(const Decision& decision);
  [[nodiscard]] Census census() const;
  void resize(sys::FdRef config);
  void reopen(sys::Fd access_log);
  void stop_gracefully();
  void drain();
  void stop_fast();
  void finish_if_empty();

  // children.cc
  void fork_workers(uint32_t count, config::FpmLevel level);
  bool fork_worker(config::FpmLevel level);
  Result<ChildPipes> make_child_pipes();
  void catch_output(Child& child, ChildPipes pipes);
  [[noreturn]] void become_worker(uint32_t index, const ChildPipes& pipes, sys::Fd told);
  static pid_t wait_for_host_pid(sys::FdRef told, pid_t pid);
  [[nodiscard]] bool is_from_outside(const sys::Signal& signal) const;
  void reap();
  void bury(Child& child, int wait_status);
  void log_death(const Child& child, int wait_status, const WorkerRecord& record);
  void replace_dead(bool quick);
  void signal_all(int signal);
  void quit_oldest_idle();
  Child* oldest_idle();
  void check_request_timeouts();
  [[nodiscard]] std::optional<uint32_t> free_index() const;

  config::PoolConfig config_;
  PoolLog& log_;
  std::unique_ptr<ring::WorkerRing> ring_;
  std::vector<sys::Fd> channels_;
  sys::Fd master_socket_, access_log_, self_link_;
  pid_t own_pid_, host_pid_;  // as we see ourselves, and as the machine does
  std::vector<sys::FdRef> kept_by_workers_;
  sys::FdRef cache_lock_;
  std::optional<AccessFormat> access_format_;
  ProcessManager pm_;
  std::unique_ptr<Scoreboard> scoreboard_;
  std::unique_ptr<loop::EventLoop> loop_;
  sys::SignalSource signals_;
  std::unique_ptr<ipc::Channel> master_;
  std::unique_ptr<opener::Opener> opener_;
  std::unique_ptr<exec::Sessions> commands_;
  std::vector<std::unique_ptr<Child>> children_;
  std::unique_ptr<loop::Timer> maintenance_, recheck_, heartbeat_, respawn_, stop_timer_;
  State state_ = State::kRunning;
  int64_t drain_until_us_ = 0;
  uint32_t quick_deaths_ = 0;
  uint64_t accepted_seen_ = 0;
  int64_t busy_us_ = 0;  // when the site was last seen at work
  bool idle_told_ = false;
};

}  // namespace bulkhead::pool
