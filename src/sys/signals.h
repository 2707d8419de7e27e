// Signals as readable events: blocked everywhere, taken from a signalfd.
//
// Runs in: master, pool, front's control.  Input: signals from the administrator and the kernel.
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

struct Signal {
  int number = 0;
  pid_t sender = 0;  // 0: the kernel
};
class SignalSource {
 public:
  // Blocks these signals in the calling thread (start threads afterwards) and opens a signalfd.
  static Result<SignalSource> create(std::initializer_list<int> signals);
  [[nodiscard]] FdRef fd() const { return fd_; }
  // The next pending signal, if any.
  [[nodiscard]] std::optional<Signal> next();

 private:
  Fd fd_;
};
// SIGPIPE is ignored in every process of ours.
void ignore_sigpipe();
// Every signal to default and unblocked: before exec, and first thing in a forked worker.
void reset_signals();
// "SIGTERM"; "SIG35" for one without a name.
[[nodiscard]] std::string signal_name(int number);

}  // namespace bulkhead::sys
