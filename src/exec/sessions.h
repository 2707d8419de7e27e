// The commands that run in a site: takes orders over their sessions, forks, passes signals on,
// tells callers how their commands ended.
//
// Runs in: pool (inside its loop, as the site's user).  Input: sessions that master passed on; who
// is at the other end may run commands in this site anyway, so it is checked for mistakes, and for
// not holding the pool up.
// Threads: the loop's own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "exec/command.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::exec {

class Sessions {
 public:
  // `on_empty` is called whenever the last command has ended.  `of_pool` are the pool's env[].
  Sessions(loop::EventLoop& loop, Variables of_pool, std::function<void()> on_empty);
  ~Sessions();

  // Another caller.  Refused when kSessionsMax run already.
  void begin(sys::Fd session);
  // A child of the pool has ended.  False: it was no command.
  bool reap(pid_t pid, int wait_status);
  [[nodiscard]] bool busy() const { return !sessions_.empty(); }
  // No new orders; commands may finish, up to kFinishMax, then end_now().
  void finish();
  // Commands and what they started in their process groups are told to end, after kKillAfter
  // killed.
  void end_now();

  static constexpr size_t kSessionsMax = 64;
  static constexpr loop::Millis kOrderPatience{10'000};
  static constexpr loop::Millis kFinishMax{300'000};
  static constexpr loop::Millis kKillAfter{500};

 private:
  class Session;
  void remove(Session* session);
  void signal_all(int signal);

  loop::EventLoop& loop_;
  const Variables of_pool_;
  std::function<void()> on_empty_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::unique_ptr<loop::Timer> patience_;
  bool closed_ = false, ending_ = false;
};

}  // namespace bulkhead::exec
