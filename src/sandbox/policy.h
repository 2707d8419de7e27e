// What a process may do, as a value; and the one place that applies it, in order.
//
// Runs in: master (builds it; between fork and exec), zygote (in a fresh pool).
// Input: configuration (trusted).  What comes before it, while the process
// is root, is in confine.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"
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
  bool no_capabilities = false;  // all sets emptied, also the bounding one; a keyring of its own
  std::optional<LandlockRules> landlock;  // looked up as the identity, after it was taken
  const Filter* filter = nullptr;         // not owned; the last thing applied
};

// Applies every part in the order that works: priority and limits, chroot, capabilities, identity,
// keyring, no_new_privs, Landlock, dumpable, chdir, seccomp.  After an error the process must not
// go on. Errors: names the step and the operand.
Status apply(const Policy& policy);

}  // namespace bulkhead::sandbox
