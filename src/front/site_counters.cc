// See site_counters.h.
#include "front/site_counters.h"

#include <algorithm>
#include <chrono>

namespace bulkhead::front {
namespace {

// Master never uses a number twice: a machine that adds and removes sites for years gets here.
constexpr uint32_t kSiteNumberMax = 1 << 22;

size_t time_class(uint64_t micros) {
  size_t at = 0;
  while (at < ipc::kTimeBounds_us.size() && micros > ipc::kTimeBounds_us[at]) ++at;
  return at;
}

}  // namespace

ipc::SiteBlock& LoopCounters::first_use(uint32_t site) {
  if (blocks_ == nullptr || site == 0 || site > kSiteNumberMax || used_ >= ipc::kSiteBlocks) {
    return spare_;
  }
  if (site >= by_site_.size()) by_site_.resize(site + 1);
  ipc::SiteBlock& block = blocks_[used_++];
  by_site_[site] = &block;
  std::atomic_ref<uint32_t>(block.site).store(site, std::memory_order_release);
  return block;
}

void LoopCounters::count(uint32_t site, const ServedRequest& request) {
  ipc::SiteBlock& block = of(site);
  const auto micros = static_cast<uint64_t>(std::max<int64_t>(
      0, std::chrono::duration_cast<std::chrono::microseconds>(request.took).count()));
  const size_t status = std::clamp<size_t>(request.status / 100u, 2, 5) - 2;
  const size_t time = time_class(micros);
  store_relaxed(block.requests[status], block.requests[status] + 1);
  store_relaxed(block.times[time], block.times[time] + 1);
  store_relaxed(block.time_us, block.time_us + micros);
  store_relaxed(block.bytes_in, block.bytes_in + request.bytes_in);
  store_relaxed(block.bytes_out, block.bytes_out + request.bytes_out);
  store_relaxed(block.last_s, static_cast<uint32_t>(request.ended_s));
}

}  // namespace bulkhead::front
