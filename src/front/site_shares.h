// How much of front each site holds: requests, waiting requests and bytes in memory, counted over
// all loops, so that one site's flood, slow clients or sleeping workers leave room for the others.
//
// Runs in: front.  Input: limits from the configuration (trusted).
// Threads: any; counts are atomic and exact, nothing is allocated per request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "config/snapshot.h"
#include "front/site_counters.h"

namespace bulkhead::front {

// One site's counts and limits.  Lives as long as front; its address is stable.
struct alignas(64) SiteShare {
  std::atomic<uint32_t> requests{0};  // from when it is handed to the site until it is answered
  std::atomic<uint32_t> queued{0};    // of them: waiting for a worker
  std::atomic<uint64_t> buffered{0};  // bytes of bodies and replies in front's memory
  std::atomic<uint32_t> requests_max{UINT32_MAX}, queued_max{UINT32_MAX};
  std::atomic<uint64_t> buffered_max{UINT64_MAX};
  std::atomic<int64_t> told{0};  // second of the last line about a refusal

  // Less than a quarter of the bytes that the site may have in memory is used.
  [[nodiscard]] bool is_roomy() const {
    return buffered.load(std::memory_order_relaxed) <
           buffered_max.load(std::memory_order_relaxed) / 4;
  }
  // True once in a second: whether a refusal is to be logged.
  bool may_tell(int64_t second) {
    int64_t last = told.load(std::memory_order_relaxed);
    return last != second && told.compare_exchange_strong(last, second, std::memory_order_relaxed);
  }
};

// What one request holds of its site's share; gives it back at the end.
class SiteHold {
 public:
  SiteHold() = default;
  SiteHold(const SiteHold&) = delete;
  SiteHold& operator=(const SiteHold&) = delete;
  ~SiteHold() { release(); }

  // Takes a place; the reason when there is none.  Taking another site's gives back the first.
  [[nodiscard]] const char* take(SiteShare& share);
  // The bytes that front holds for the request now.
  void set_buffered(uint64_t bytes);
  void release();
  [[nodiscard]] const SiteShare* share() const { return share_; }

 private:
  SiteShare* share_ = nullptr;
  uint64_t bytes_ = 0;
};

class SiteShares {
 public:
  // Puts the limits of a snapshot in force; `connections_max` is what front has in all.
  void configure(const config::Snapshot& snapshot, uint64_t connections_max);
  SiteShare& of(uint32_t site);

 private:
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::unique_ptr<SiteShare>> shares_;
};

// A loop's own way to the shares it has used (no lock), and what it counts for each site.
class LoopShares {
 public:
  explicit LoopShares(SiteShares& all) : all_(all) {}
  SiteShare& of(uint32_t site) {
    SiteShare*& share = known_[site];
    if (share == nullptr) share = &all_.of(site);
    return *share;
  }
  [[nodiscard]] LoopCounters& counters() { return counters_; }

 private:
  LoopCounters counters_;
  SiteShares& all_;
  std::unordered_map<uint32_t, SiteShare*> known_;
};

}  // namespace bulkhead::front
