// What limits a site's processes beside its control group: limits of the process (setrlimit(2)).
//
// Runs in: zygote's fresh fork, while it is still root.  Input: configuration (trusted).
// Where the kernel gives no pids controller, RLIMIT_NPROC stands in for limit.tasks: it counts all
// processes of the user on this machine, and each site is a user.  Nothing stands in for
// limit.memory (RLIMIT_AS counts addresses, of which PHP's JIT and caches reserve many),
// limit.cpu and limit.io; nor for limit.disk, which needs a quota (quota.h).
#pragma once

#include <cstdint>

#include "base/error.h"
#include "config/pool_limits.h"

namespace bulkhead::sandbox {

// `controllers`: those in force for the site (sandbox/cgroup.h).  Limits that the process may not
// raise stay as they are.  Errors: RLIMIT_NPROC could not be set.
Status limit_process(const config::PoolLimits& limits, uint8_t controllers);

}  // namespace bulkhead::sandbox
