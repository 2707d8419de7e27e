// The caller's side of `bulkhead exec`: asks a running server for a site, hands the command to the
// site's pool, relays signals and (when there is one) the terminal, and tells how it ended.
//
// Runs in: bulkhead (`exec`), bulkhead-verify.  Input: the command (the caller's own words); what
// the site's pool answers (hostile: a number and a bounded text); bytes of the command for a
// terminal, passed on as they are.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::exec {

// Whether the command gets a terminal of its own (a pty whose other side is relayed to ours).
enum class Terminal : uint8_t {
  kAuto,    // when standard input and output are both terminals
  kAlways,  // when standard input is one
  kNever,
};

struct ExecRequest {
  std::string socket;  // the server's: socket_path(PID FILE)
  std::string site;    // pool name, or a server_name that leads to it
  std::vector<std::string>
      argv;  // at least one; argv[0] without '/' is looked up in the site's PATH
  std::vector<std::string> env;  // "NAME=value", over the site's own environment
  std::string directory;         // "": `directory_hint` where the site has it, else its home
  std::string directory_hint;
  // Invalid: /dev/null.  A terminal is never handed to the site: see `terminal`.  Directories are
  // refused, since a site could leave its view of the machine through one.
  sys::FdRef in{0}, out{1}, err{2};
  // A program to run instead of looking argv[0] up; it is copied, so the site sees no path of it.
  sys::FdRef program;
  Terminal terminal = Terminal::kAuto;
  // SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 sent to us reach the command; needs a
  // process with one thread.
  bool relay_signals = false;
  // Then the command is hung up on (SIGHUP) and the call fails with ETIMEDOUT.  Zero: never.
  std::chrono::milliseconds timeout{0};
};

// Runs it and waits.  The wait status is that of the command, as waitpid(2) gives it; a command
// that is not there exits with 127, one that cannot be run with 126, and has said so on its
// standard error.  Errors: no server, no such site, not permitted, the site cannot start, it ended
// meanwhile. Blocks: until the command has ended.
[[nodiscard]] Result<int> run_in_site(const ExecRequest& request);

// "/run/bulkhead.pid" (or the control socket "/run/bulkhead.ctl") -> "/run/bulkhead.exec"
[[nodiscard]] std::string socket_path(const std::string& pid_path);

}  // namespace bulkhead::exec
