// What a process may do, as a value; and the one place that applies it, in order.
//
// Runs in: master (builds it; between fork and exec), zygote (in a fresh pool).
// Input: configuration (trusted).  Namespaces, seccomp, Landlock and cgroups join here later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/users.h"

namespace bulkhead::sandbox {

struct Policy {
  std::optional<sys::Identity> identity;  // unset: stay who we are
  bool no_new_privs = true;
  bool dumpable = false;  // may be traced, may write a core file
  std::optional<uint64_t> nofile, core_bytes;
  std::optional<int> nice;    // priority, -19..20
  std::string chroot, chdir;  // "" : leave
  std::optional<mode_t> umask;
};

// Applies every part in the order that works: priority and limits, chroot, identity, no_new_privs,
// dumpable, chdir.  After an error the process must not go on.
// Errors: names the step and the operand.
Status apply(const Policy& policy);

}  // namespace bulkhead::sandbox
