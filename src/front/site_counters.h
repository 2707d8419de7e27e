// Counts the requests of each site on one loop, in memory that master reads.
//
// Runs in: front.  Input: facts of requests that are over.
// Threads: one loop writes; master reads at any time, so every value is stored in one piece.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "ipc/site_block.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

template <class T>
void store_relaxed(T& where, T value) {
  std::atomic_ref<T>(where).store(value, std::memory_order_relaxed);
}

// A request that is over.
struct ServedRequest {
  uint16_t status = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  loop::Clock::duration took{};
  int64_t ended_s = 0;  // since 1970
};

class LoopCounters {
 public:
  // `blocks`: kSiteBlocks of them, zeroed, this loop's alone; until then nothing is counted.
  void use(ipc::SiteBlock* blocks) { blocks_ = blocks; }
  // The site's block; one that nobody reads where there is no room.  Its address is stable.
  [[nodiscard]] ipc::SiteBlock& of(uint32_t site) {
    if (site < by_site_.size() && by_site_[site] != nullptr) [[likely]]
      return *by_site_[site];
    return first_use(site);
  }
  void count(uint32_t site, const ServedRequest& request);

 private:
  ipc::SiteBlock& first_use(uint32_t site);

  ipc::SiteBlock* blocks_ = nullptr;
  uint32_t used_ = 0;
  std::vector<ipc::SiteBlock*> by_site_;  // sites are numbered from 1 on
  ipc::SiteBlock spare_;
};

}  // namespace bulkhead::front
