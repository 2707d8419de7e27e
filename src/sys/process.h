// Processes: start a program with an explicit list of descriptors, follow it, become a user.
//
// Runs in: master (spawns), every child (title, identity).  Input: none of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/users.h"

namespace bulkhead::sys {

struct Child {
  pid_t pid = -1;
  Fd pidfd;               // readable when the process has ended
  bool in_group = false;  // it began in Spawn::group
};
struct Spawn {
  std::string program;               // path
  std::vector<std::string> argv;     // argv[0] included
  std::vector<std::string> env;      // the whole environment, "NAME=value"
  std::vector<FdRef> fds;            // become descriptors 3, 4, ... of the child; nothing else does
  FdRef standard_error;              // becomes descriptor 2 (invalid: as the parent's)
  FdRef group;                       // directory of the control group to begin in, if that can be
  std::function<Status()> in_child;  // after fork, before exec: sandbox::apply and the like
};
// Starts it: descriptors 0 and 1 are /dev/null, signals are default and unblocked, CLOEXEC closes
// the rest.  Errors: fork, in_child and exec failures alike are reported here, with their reason.
// Blocks: until exec has happened.
[[nodiscard]] Result<Child> spawn(const Spawn& what);

// A pidfd for a process (own child or not).
[[nodiscard]] Result<Fd> open_pidfd(pid_t pid);
// The process a pidfd stands for; -1 when it has ended.
[[nodiscard]] pid_t pid_of(FdRef pidfd);
// Sends a signal through the pidfd: never to a process that took over the number.
Status send_signal(FdRef pidfd, int signal);
Status send_signal(pid_t pid, int signal);

// How a child ended.
struct Ended {
  enum class How : uint8_t { kUnknown, kExited, kSignalled } how = How::kUnknown;
  int value = 0;  // exit code or signal
  bool core = false;
};
// Reaps one ended child through its pidfd; empty while it runs.  A process that is not our child
// (a pool forked by the zygote) yields kUnknown once its pidfd is readable.
[[nodiscard]] std::optional<Ended> reap(FdRef pidfd);

// Remembers where argv and the environment lie, and moves the environment to the heap, so that
// set_process_title has room.  Call once, first thing in main; never fails.
void init_process_title(int argc, char** argv);
// What `ps` shows: replaces the whole command line.
void set_process_title(std::string_view title);

// Becomes `who` for good: setgroups, setgid, setuid (all three ids), then checks that there is no
// way back.  A process that is not root and already is that user succeeds without doing anything.
Status become(const Identity& who);
[[nodiscard]] bool is_root();

// Directory of the running program ("/usr/lib/bulkhead"), from /proc/self/exe.
[[nodiscard]] std::string program_directory();

// Goes to the background: the caller's process becomes a session leader in a new process; the
// starting process waits for report_started() and exits with its code (or 1 when the child dies).
class Daemon {
 public:
  // Returns in the background process only.
  static Result<Daemon> start();
  // Lets the starting process exit with `code`, and gives 0, 1 and (when `close_stderr`) 2 to
  // /dev/null.  A default-made Daemon (foreground) does nothing.
  void report_started(int code, bool close_stderr);

 private:
  Fd started_;
};

// Closes every descriptor from `first` on, except `keep`.
void close_descriptors_from(int first, const std::vector<FdRef>& keep = {});

}  // namespace bulkhead::sys
