// The door of `bulkhead exec`: a unix socket beside the pid file where a caller names a site and is
// given a session with that site's pool.
//
// Runs in: master.  Input: questions of any local user (hostile).  A caller gets a session when it
// is root, the user we run as, or the site's own user.  Master reads a name of at most 255 bytes
// and takes no descriptor from a caller: command, environment and streams go from the caller to the
// pool (exec/protocol.h).
#pragma once

#include <list>
#include <memory>
#include <string>

#include "base/error.h"
#include "exec/protocol.h"
#include "loop/event_loop.h"
#include "master/load.h"
#include "master/log.h"
#include "master/sites.h"
#include "sys/fd.h"

namespace bulkhead::master {

class ExecDoor : private loop::IoHandler {
 public:
  struct Wiring {
    loop::EventLoop& loop;
    Log& log;
    Sites& sites;
    const Loaded& loaded;  // in force; may change under us between calls
  };
  static Result<std::unique_ptr<ExecDoor>> create(Wiring wiring, std::string path);
  ~ExecDoor() override;
  // A life began, became ready or ended: callers who wait for it are answered.
  void look_again();

  static constexpr size_t kCallersMax = 64;          // at once
  static constexpr size_t kCallersOfOneUserMax = 8;  // unless that user is root
  static constexpr Millis kQuestionPatience{5'000};
  static constexpr Millis kStartWaitMax{40'000};  // longer than a site's start may take

 private:
  class Caller;
  ExecDoor(Wiring wiring, std::string path, sys::Fd socket);
  void on_ready(uint32_t events) override;
  // Answers, or leaves the caller waiting for its site's start.
  void decide(Caller& caller, std::string_view name);
  void settle(Caller& caller);
  void hand_over(Caller& caller);
  void remove(Caller* caller);

  Wiring w_;
  const std::string path_;
  sys::Fd socket_;
  std::list<std::unique_ptr<Caller>> callers_;
  bool looking_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // gone with us
};

}  // namespace bulkhead::master
