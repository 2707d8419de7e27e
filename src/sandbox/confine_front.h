// Takes everything from front that it does not need once it has started.
//
// Runs in: front, first thing in main, with one thread, before any byte of anybody.
// Input: from master only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/users.h"

namespace bulkhead::sandbox {

struct FrontConfinement {
  std::optional<sys::Identity> identity;  // whom to become; unset: we are somebody already
  bool dumpable = false;                  // may be traced by its own user, may write a core file
};

// In this order: an empty root that nothing can be put into, no capabilities, the user, no new
// privileges, no keys, no path (Landlock), no signal and no abstract socket outside (Landlock), not
// traceable, and the system calls of Filter::for_front().
// Yields what this kernel could not do, a sentence each: the other layers hold.
// In builds with sanitizers the root and the paths stay, and the filter is the one for sites: their
// runtime reads /proc and starts a program that names lines.
// Errors: names the step; the process must not go on.
Result<std::vector<std::string>> confine_front(const FrontConfinement& how);

// Replaces the root directory by an empty read-only one in a mount namespace of its own, from which
// the machine's files cannot be reached.  Needs CAP_SYS_ADMIN.  Ref: pivot_root(2), "." over ".".
Status enter_empty_root();

}  // namespace bulkhead::sandbox
