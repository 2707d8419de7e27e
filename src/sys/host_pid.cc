#include "sys/host_pid.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/check.h"
#include "sys/fork_into.h"

namespace bulkhead::sys {

Result<Fd> open_self_link() {
  Fd fd(::open("/proc/self", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open /proc/self");
  return fd;
}

pid_t host_pid(FdRef self_link) {
  char text[32] = "";
  if (!self_link.valid()) return ::getpid();
  const ssize_t size = ::readlinkat(self_link.get(), "", text, sizeof text - 1);
  const int pid = size > 0 ? std::atoi(text) : 0;
  return pid > 0 ? pid : ::getpid();
}

Result<Fd> open_pid_namespace() {
  Fd fd(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open /proc/self/ns/pid");
  return fd;
}

pid_t fork_first_process(FdRef own, FdRef group) {
  if (::unshare(CLONE_NEWPID) < 0) return -1;
  const pid_t pid = group.valid() ? fork_into(group) : ::fork();
  if (pid == 0) return 0;
  const int error = errno;
  // Staying would make the next child a part of this site.
  BH_CHECK(::setns(own.get(), CLONE_NEWPID) == 0);
  errno = error;
  return pid;
}

}  // namespace bulkhead::sys
