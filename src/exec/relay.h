// The caller's wait for its command: outcome, signals, terminal and timeout in one poll loop.
//
// Runs in: bulkhead, bulkhead-verify.  Input: the pool's outcome (hostile), the command's output
// (passed on), the person's keys (passed on).
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "exec/client.h"
#include "exec/terminal.h"
#include "sys/fd.h"
#include "sys/signals.h"

namespace bulkhead::exec {

// Whether the command of this request gets a pty.
[[nodiscard]] bool wants_terminal(const ExecRequest& request);

class Conversation {
 public:
  explicit Conversation(sys::Fd session) : session_(std::move(session)) {}

  // Keys from `in` go to the pty, what comes out of it to `out`.
  void use_terminal(sys::FdRef in, sys::FdRef out, sys::Fd pty);
  // A pipe whose other end is copied to `ours`, which the command must not hold itself.
  Result<sys::Fd> relay_to(sys::FdRef ours, uid_t uid);
  // Sends the order, waits for the outcome.  Errors: as run_in_site().
  Result<int> run(std::string_view order, std::vector<sys::Fd> fds, const ExecRequest& request);

 private:
  struct Polled;
  Result<int> wait(const ExecRequest& request);
  // Outcome, error, or nothing yet.
  std::optional<Result<int>> hear();
  enum class Caller : uint8_t { kThere, kGone /* the real terminal closed */ };
  Caller pass_signals();
  void turn(int timeout_ms, Polled* polled);
  // What the command wrote before it ended.
  void drain();

  sys::Fd session_, pty_;
  sys::FdRef terminal_;
  std::vector<sys::Fd> pipes_;
  std::vector<Relay> outputs_;
  std::optional<Relay> keys_;
  std::optional<sys::SignalSource> signals_;
  std::unique_ptr<RawMode> raw_;
};

}  // namespace bulkhead::exec
