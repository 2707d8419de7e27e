// Listening sockets that front has already, by what they are: a reload sends all of them again, and
// of ten thousand pools two descriptors each would be more than a process may have.
//
// Runs in: front (control thread).  Input: descriptors from master only.
#pragma once

#include <sys/types.h>

#include <memory>
#include <unordered_map>

#include "front/runtime.h"
#include "sys/fd.h"

namespace bulkhead::front {

class OpenSockets {
 public:
  OpenSockets() = default;
  // Those of the configuration that is active now; nullptr: none is.
  explicit OpenSockets(const Runtime* active);
  // The descriptor held already for the same socket (`received` is closed then), or `received`.
  std::shared_ptr<sys::Fd> share(sys::Fd received) const;

 private:
  // By inode: all sockets of a machine are on one file system.  Ref: socket(7), sockfs.
  std::unordered_map<ino_t, std::shared_ptr<sys::Fd>> open_;
};

}  // namespace bulkhead::front
