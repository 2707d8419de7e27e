// The machine's number of a process that lives in a pid namespace of its own.
//
// Runs in: zygote (opens), pools and workers (ask).
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// The link /proc/self itself, as a descriptor.  Reading it tells the reader its own number in the
// namespace of that /proc, and nothing else can be done with it.  Ref: proc(5), readlinkat(2) with
// an empty path (Linux >= 2.6.39).
[[nodiscard]] Result<Fd> open_self_link();
// The calling process's number on the machine; getpid() without a link.
[[nodiscard]] pid_t host_pid(FdRef self_link);

// Forks a process that is the first of a new pid namespace, into `group` if that is valid
// (fork_into.h).  The caller stays where it is.
// `own` is the caller's namespace (open_pid_namespace).  Returns as fork(2), with the number in the
// caller's namespace.  Errors: EPERM without CAP_SYS_ADMIN; ENOSPC: too many namespaces.
[[nodiscard]] pid_t fork_first_process(FdRef own, FdRef group = {});
[[nodiscard]] Result<Fd> open_pid_namespace();

}  // namespace bulkhead::sys
