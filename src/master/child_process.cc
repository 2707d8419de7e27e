#include "master/child_process.h"

#include <signal.h>

#include "sandbox/cgroup.h"
#include "sys/sockets.h"

namespace bulkhead::master {

ChildProcess::~ChildProcess() {
  if (running()) reaper_.forget(child_.pid);
}

Status ChildProcess::start(const Start& start) {
  sys::SocketPair pair = TRY(sys::seqpacket_pair());
  if (start.blocking) TRY_STATUS(sys::set_blocking(pair.second));
  sys::Spawn spawn;
  spawn.program = start.program;
  spawn.argv = start.argv;
  spawn.env = child_environment(start.environment);
  spawn.fds = {pair.second};
  spawn.standard_error = start.standard_error;
  if (start.policy) spawn.in_child = [&start] { return sandbox::apply(*start.policy); };
  spawn.group = start.group;
  child_ = TRY(sys::spawn(spawn));
  if (start.group.valid() && !child_.in_group) {
    (void)sandbox::join_group(start.group, child_.pid);
  }
  started_ = loop::Clock::now();
  reaper_.watch(child_.pid, [this](const sys::Ended& how) { ended(how); });
  auto channel =
      ipc::Channel::create(loop_, std::move(pair.first), start.role, ipc::Phase::kStarting,
                           hooks_.on_message, [this](const std::string& violation) {
                             if (violation.empty()) return;  // it is ending: SIGCHLD tells how
                             signal(SIGKILL);
                             hooks_.on_violation(child_.pid, violation);
                           });
  if (!channel) {
    signal(SIGKILL);
    return std::unexpected(channel.error());
  }
  channel_ = std::move(*channel);
  return {};
}

bool ChildProcess::send(ipc::Op op, std::string_view payload, std::span<const sys::FdRef> fds) {
  return channel_ != nullptr && channel_->send(op, payload, fds);
}

void ChildProcess::set_phase(ipc::Phase phase) {
  if (channel_ != nullptr) channel_->set_phase(phase);
}

void ChildProcess::signal(int number) {
  if (running()) (void)sys::send_signal(child_.pidfd, number);
}

void ChildProcess::ended(const sys::Ended& how) {
  pid_t pid = child_.pid;
  auto lived = std::chrono::duration_cast<Millis>(loop::Clock::now() - started_);
  child_ = {};
  // The channel may be the caller of our caller: let it go once the loop is back.
  loop_.defer([old = std::shared_ptr<ipc::Channel>(std::move(channel_))] {});
  hooks_.on_ended(pid, how, lived);
}

}  // namespace bulkhead::master
