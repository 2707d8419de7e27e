// See spool_pace.h.
#include "front/spool_pace.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace bulkhead::front {

void SpoolPace::refill(Site& site) {
  const auto ms = std::chrono::duration_cast<loop::Millis>(loop_.now() - site.counted).count();
  if (ms <= 0) return;
  site.counted += loop::Millis(ms);
  const uint64_t more = static_cast<uint64_t>(ms) >= kBurstBytes / kBytesPerMs
                            ? kBurstBytes
                            : static_cast<uint64_t>(ms) * kBytesPerMs;
  site.left = std::min(kBurstBytes, site.left + more);
}

uint64_t SpoolPace::allowance(uint32_t number) {
  auto [at, is_new] = sites_.try_emplace(number);
  Site& site = at->second;
  if (is_new) site.counted = loop_.now();
  refill(site);
  if (!timer_.armed()) timer_.arm(loop_, kTick);
  return site.left;
}

void SpoolPace::spend(uint32_t number, uint64_t bytes) {
  auto at = sites_.find(number);
  if (at != sites_.end()) at->second.left -= std::min(at->second.left, bytes);
}

void SpoolPace::wait(uint32_t number, std::function<void()> resume) {
  auto [at, is_new] = sites_.try_emplace(number);
  if (is_new) at->second.counted = loop_.now();
  at->second.waiting.push_back(std::move(resume));
  if (!timer_.armed()) timer_.arm(loop_, kTick);
}

// Sites that have all of their allowance again and want nothing are forgotten.
void SpoolPace::tick() {
  std::vector<uint32_t> due;
  for (auto at = sites_.begin(); at != sites_.end();) {
    Site& site = at->second;
    refill(site);
    if (!site.waiting.empty()) due.push_back(at->first);
    const bool idle = site.waiting.empty() && site.left == kBurstBytes;
    at = idle ? sites_.erase(at) : std::next(at);
  }
  for (const uint32_t number : due) {
    // Those who ask again meanwhile stand behind the others, and get their turn at the next tick.
    size_t count = sites_[number].waiting.size();
    for (; count > 0 && sites_[number].left > 0; --count) {
      const auto resume = std::move(sites_[number].waiting.front());
      sites_[number].waiting.pop_front();
      resume();
    }
  }
  if (!sites_.empty()) timer_.arm(loop_, kTick);
}

}  // namespace bulkhead::front
