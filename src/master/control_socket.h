// A unix socket beside the pid file that answers one question per connection, for root only:
// "status\n" (JSON), "sites\n" (the same without what sites take), "brief\n" (without sites: at
// once), "metrics\n" (Prometheus text).
//
// Runs in: master.  Input: connections of root (or of the user who runs us without root).
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::master {

class ControlSocket : private loop::IoHandler {
 public:
  static constexpr size_t kAskersMax = 64;
  static constexpr loop::Millis kQuestionPatience{5'000};

  // Gets the question and the connection to answer on; closing it is an answer, too.
  using Answer = std::function<void(std::string_view question, sys::Fd connection)>;
  static Result<std::unique_ptr<ControlSocket>> create(loop::EventLoop& loop, std::string path,
                                                       Answer answer);
  ~ControlSocket() override;

 private:
  class Asker;
  ControlSocket(loop::EventLoop& loop, std::string path, sys::Fd socket, Answer answer);
  void on_ready(uint32_t events) override;
  void remove(Asker* asker);

  loop::EventLoop& loop_;
  const std::string path_;
  sys::Fd socket_;
  Answer answer_;
  std::list<std::unique_ptr<Asker>> askers_;
};

// "/run/bulkhead.pid" -> "/run/bulkhead.ctl"
[[nodiscard]] std::string control_path(const std::string& pid_path);
// Asks a running master.  Empty: not allowed, or not now.  Blocks: until it answers, or 25 seconds.
[[nodiscard]] Result<std::string> ask_master(const std::string& pid_path,
                                             std::string_view question);

}  // namespace bulkhead::master
