// fork(2) straight into a control group.
//
// Runs in: zygote (pools), master (openers).  Input: none.
// Why: moving a process that exists waits until every processor has passed through the scheduler
// (about 9 ms), and no process of the machine can fork or end meanwhile.
#pragma once

#include <sys/types.h>

#include "sys/fd.h"

namespace bulkhead::sys {

// As fork(2); the child begins in the group (version 2) whose directory `group` is.  Handlers of
// pthread_atfork() do not run: for processes of one thread.
// Errors: as clone3(2); ENOSYS also in sanitizer builds, whose runtime must see every fork.  The
// caller then forks as usual and moves the child. Ref: clone3(2) CLONE_INTO_CGROUP, Linux >= 5.7.
[[nodiscard]] pid_t fork_into(FdRef group);

}  // namespace bulkhead::sys
