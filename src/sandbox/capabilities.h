// Gives up every capability of Linux for good.
//
// Runs in: pool, opener and front while they start.  Input: none.
#pragma once

#include "base/error.h"

namespace bulkhead::sandbox {

// Two steps, because the first needs a capability that the second, and becoming a user, take away.
// Threads: both change the calling thread only; call them before others start.
// Errors: name the step; afterwards the process must not go on.  Ref: capabilities(7), Linux
// >= 4.3.

// Before becoming the user, as root: empties the bounding and ambient sets and locks the
// securebits, so that neither uid 0 nor a program with file capabilities brings one back.  Without
// CAP_SETPCAP (root was never involved) it does nothing: then only a set-uid or file-capability
// program could give anything, and no_new_privs forbids that.
Status bound_capabilities();

// As the user: empties the permitted, effective, inheritable and ambient sets and makes sure.
Status drop_capabilities();

}  // namespace bulkhead::sandbox
