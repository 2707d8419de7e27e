// Programs that verify starts and talks to by lines.
//
// Runs in: bulkhead-verify.  Input: lines of hostile processes: bounded in size and time.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/users.h"

namespace bulkhead::verify {

// A child with pipes on its standard input and output.
class Process {
 public:
  struct How {
    std::vector<std::string> argv;        // argv[0] is the program's path
    std::function<int()> run;             // instead of a program: its result is the exit status
    std::vector<std::string> env;         // added to PATH and LANG
    const sys::Identity* user = nullptr;  // becomes this user first; nullptr: stays
    std::string output;                   // file that takes standard output and error; "": a pipe
    sys::FdRef pass;                      // stays open, under this number, in the child
    std::string directory = "/";
  };
  static Result<Process> start(const How& how);
  Process() = default;
  Process(Process&& other) noexcept { *this = std::move(other); }
  Process& operator=(Process&& other) noexcept;
  // Closes its input and waits a moment; then SIGKILL.
  ~Process() { end(); }
  void end(std::chrono::milliseconds patience = std::chrono::seconds(3));

  [[nodiscard]] pid_t pid() const { return pid_; }
  bool send(std::string_view text);
  // One line, without its end.  Empty: none came within `patience`, or it is too long.
  std::optional<std::string> receive(std::chrono::milliseconds patience);
  void close_input() { in_.reset(); }
  // The exit status once it has ended (128 + signal); -1 while it runs.
  [[nodiscard]] int poll_exit();
  bool signal(int number);

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  sys::Fd in_, out_;
  std::string buffer_;
};

// Runs `work` in a child that became `user`; its result is the child's.  For everything that is
// done in a directory the site owns: root itself follows no path there.
Status as_user(const sys::Identity& user, const std::function<Status()>& work);
// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0: there is none.
[[nodiscard]] unsigned long long start_time(pid_t pid);

}  // namespace bulkhead::verify
