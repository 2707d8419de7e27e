// Going to the background the way both originals do it, with one difference: the starting process
// waits until the server really serves, so that its exit code can be believed.
//
// Runs in: master.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/process.h"

namespace bulkhead::sys {

Result<Daemon> Daemon::start() {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) < 0) return fail_errno("pipe() failed");
  Fd readable(pipe_fds[0]), writable(pipe_fds[1]);
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork() failed");
  if (pid > 0) {
    writable.reset();
    unsigned char code = 1;
    ssize_t n;
    do {
      n = ::read(readable.get(), &code, 1);
    } while (n < 0 && errno == EINTR);
    if (n != 1) {  // it died before it could say anything: pass its exit code on
      int status = 0;
      ::waitpid(pid, &status, 0);
      code = WIFEXITED(status) && WEXITSTATUS(status) != 0
                 ? static_cast<unsigned char>(WEXITSTATUS(status))
                 : 1;
    }
    ::_exit(code);
  }
  if (::setsid() < 0) return fail_errno("setsid() failed");
  Daemon daemon;
  daemon.started_ = std::move(writable);
  return daemon;
}

void Daemon::report_started(int code, bool close_stderr) {
  if (!started_.valid()) return;
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    ::dup2(null, 0);
    ::dup2(null, 1);
    if (close_stderr) ::dup2(null, 2);
    if (null > 2) ::close(null);
  }
  unsigned char byte = static_cast<unsigned char>(code);
  [[maybe_unused]] ssize_t n = ::write(started_.get(), &byte, 1);
  started_.reset();
}

}  // namespace bulkhead::sys
