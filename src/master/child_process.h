// One helper process with its channel: front or a zygote.
//
// Runs in: master.  Input: the child's messages, checked by the permit table; a child that breaks
// it is killed here.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ipc/channel.h"
#include "loop/event_loop.h"
#include "master/children.h"
#include "sandbox/policy.h"
#include "sys/process.h"

namespace bulkhead::master {

class ChildProcess {
 public:
  struct Start {
    std::string program;
    std::vector<std::string> argv;
    Environment environment = Environment::kBare;
    ipc::Role role = ipc::Role::kFront;
    std::optional<sandbox::Policy> policy;  // applied before exec
    sys::FdRef standard_error;              // invalid: as ours
    sys::FdRef group;                       // control group to run in (invalid: ours)
    bool blocking = false;                  // its end of the channel: it has no event loop
  };
  struct Hooks {
    ipc::Channel::OnMessage on_message;
    // It broke the table, and was killed.
    std::function<void(pid_t pid, const std::string& what)> on_violation;
    std::function<void(pid_t pid, const sys::Ended& ended, Millis lived)> on_ended;
  };
  ChildProcess(loop::EventLoop& loop, Reaper& reaper, Hooks hooks)
      : loop_(loop), reaper_(reaper), hooks_(std::move(hooks)) {}
  ~ChildProcess();

  Status start(const Start& start);
  [[nodiscard]] bool running() const { return child_.pid > 0; }
  [[nodiscard]] pid_t pid() const { return child_.pid; }
  bool send(ipc::Op op, std::string_view payload = {}, std::span<const sys::FdRef> fds = {});
  void set_phase(ipc::Phase phase);
  void signal(int number);
  // Lets go of the channel: both front and a zygote end when master is gone.
  void hang_up() { channel_.reset(); }

 private:
  void ended(const sys::Ended& ended);
  loop::EventLoop& loop_;
  Reaper& reaper_;
  Hooks hooks_;
  sys::Child child_;
  std::unique_ptr<ipc::Channel> channel_;
  loop::Clock::time_point started_{};
};

}  // namespace bulkhead::master
