#include "sys/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace bulkhead::sys {

Result<SignalSource> SignalSource::create(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int s : signals) sigaddset(&set, s);
  if (int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return fail_errno("sigprocmask() failed", error);
  }
  SignalSource source;
  source.fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!source.fd_.valid()) return fail_errno("signalfd() failed");
  return source;
}

std::optional<Signal> SignalSource::next() {
  signalfd_siginfo info;
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return {};
  Signal signal{static_cast<int>(info.ssi_signo), 0};
  // Only a process can be a sender; the kernel's own signals carry positive codes.
  if (info.ssi_code <= 0) signal.sender = static_cast<pid_t>(info.ssi_pid);
  return signal;
}

void ignore_sigpipe() { ::signal(SIGPIPE, SIG_IGN); }

void reset_signals() {
  for (int s = 1; s < NSIG; ++s) {
    if (s != SIGKILL && s != SIGSTOP) ::signal(s, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "SIG" + std::to_string(number);
}

}  // namespace bulkhead::sys
