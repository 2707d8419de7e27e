// A unix socket beside the pid file that answers "status" with JSON, for root only.
//
// Runs in: master.  Input: connections of root (or of the user who runs us without root).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::master {

class ControlSocket : private loop::IoHandler {
 public:
  using Answer = std::function<std::string()>;
  static Result<std::unique_ptr<ControlSocket>> create(loop::EventLoop& loop, std::string path,
                                                       Answer answer);
  ~ControlSocket() override;

 private:
  ControlSocket(loop::EventLoop& loop, std::string path, sys::Fd socket, Answer answer);
  void on_ready(uint32_t events) override;
  loop::EventLoop& loop_;
  const std::string path_;
  sys::Fd socket_;
  Answer answer_;
};

// "/run/bulkhead.pid" -> "/run/bulkhead.ctl"
[[nodiscard]] std::string control_path(const std::string& pid_path);
// Asks a running master.  Blocks: until it answers, or 5 seconds.
[[nodiscard]] Result<std::string> ask_status(const std::string& pid_path);

}  // namespace bulkhead::master
