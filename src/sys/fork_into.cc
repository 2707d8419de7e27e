#include "sys/fork_into.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/sanitized.h"

namespace bulkhead::sys {

pid_t fork_into(FdRef group) {
  if (kSanitized) {
    errno = ENOSYS;
    return -1;
  }
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(group.get());
  // What libc's fork() does for the child: its thread's number and its list of robust mutexes.
  pid_t* tid = nullptr;
  if (::prctl(PR_GET_TID_ADDRESS, &tid) == 0 && tid != nullptr) {
    args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    args.child_tid = reinterpret_cast<uint64_t>(tid);
  }
  robust_list_head* robust = nullptr;
  size_t robust_bytes = 0;
  const bool has_robust = ::syscall(SYS_get_robust_list, 0, &robust, &robust_bytes) == 0;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0 && has_robust) ::syscall(SYS_set_robust_list, robust, robust_bytes);
  return static_cast<pid_t>(pid);
}

}  // namespace bulkhead::sys
