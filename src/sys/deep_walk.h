// Walks through a tree of any depth with a bounded number of descriptors.
//
// Runs in: bulkhead-site and a fresh pool, as root.  Input: a tree whose owner may change it
// meanwhile (hostile): no link is followed, no other file system entered; the way back up is by
// "..", which is believed only when it is the directory that the walk came from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// Called for every entry of every directory, parents before what is in them, with the directory it
// is in.  kDown: go into it, where it is a directory.  An error ends the walk.
enum class Walk : uint8_t { kOn, kDown };
using Visit = std::function<Result<Walk>(FdRef directory, const std::string& name)>;

// Everything below `top` (no O_PATH).  What was moved while the walk was in it makes the walk begin
// anew, so an entry may be visited more than once.  Holds two descriptors and the names of the
// directories on the way.  Errors: of `visit`; EAGAIN: it is changed all the time.
Status walk_below(FdRef top, const Visit& visit);

}  // namespace bulkhead::sys
