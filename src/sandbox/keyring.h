// A session keyring of its own: what the administrator's session keeps there (Kerberos tickets,
// disk keys) is not for what it starts.
//
// Runs in: zygote (in a fresh pool), opener, front; before the seccomp filter, which forbids
// keyctl(2).  Input: none.
#pragma once

#include "base/error.h"

namespace bulkhead::sandbox {

// Replaces the inherited session keyring by a new and empty one.  A kernel without keyrings has
// nothing to hide: success.  Call it as the final user: the ring counts against that user's quota.
// Errors: EDQUOT and the like, with the step.  Ref: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING.
Status new_session_keyring();

}  // namespace bulkhead::sandbox
