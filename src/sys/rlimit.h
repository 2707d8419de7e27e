// Limits of descriptors and core files.
//
// Runs in: master, pools.  Input: configuration (trusted).
#pragma once

#include <cstdint>

#include "base/error.h"

namespace bulkhead::sys {

struct NofileLimit {
  uint64_t soft = 0, hard = 0;
};
[[nodiscard]] NofileLimit nofile_limit();
// Soft limit up to `wanted`, raising the hard one when allowed.  Errors: the limit stays as it was.
Status raise_nofile(uint64_t wanted);
// Both limits to exactly `wanted`.
Status set_nofile(uint64_t wanted);
Status set_core_size(uint64_t bytes);

}  // namespace bulkhead::sys
