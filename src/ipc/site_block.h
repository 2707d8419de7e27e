// What front counts for each site, in memory that master can read: one block per site and loop.
//
// Runs in: front (writes: one loop is a block's only writer), master (reads copies of it).
// Input: to master these are hostile numbers: any value can stand here, also in `site`.
// The memory is one sealed memfd: kSiteBlocks blocks of the first loop, then of the next. A loop
// takes blocks from the front of its part on; `site` is written last and 0 ends the list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace bulkhead::ipc {

// Sites that one loop counts apart; those beyond are served and not counted.  Only blocks that are
// used take memory.
constexpr uint32_t kSiteBlocks = 65'536;

// Upper ends of the time classes; the last class, above them, has none.
constexpr std::array<uint32_t, 14> kTimeBounds_us = {
    500,     1'000,   2'500,   5'000,     10'000,    25'000,    50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};
constexpr size_t kTimeClasses = kTimeBounds_us.size() + 1;
constexpr size_t kStatusClasses = 4;  // 2xx (and less), 3xx, 4xx, 5xx (and more)

struct alignas(64) SiteBlock {
  uint32_t site = 0;
  uint32_t active = 0;  // requests that its pool has or that wait for it
  uint32_t queued = 0;  // of them: waiting for a worker
  uint32_t last_s = 0;  // when the last request ended, seconds since 1970
  uint64_t bytes_in = 0, bytes_out = 0;
  uint64_t requests[kStatusClasses] = {};
  uint64_t time_us = 0;               // of all requests, together
  uint64_t times[kTimeClasses] = {};  // requests by how long they took
};
static_assert(sizeof(SiteBlock) == 192);

constexpr size_t counters_bytes(uint32_t loops) {
  return size_t{loops} * kSiteBlocks * sizeof(SiteBlock);
}

}  // namespace bulkhead::ipc
