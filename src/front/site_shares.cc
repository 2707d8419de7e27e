// See site_shares.h.
#include "front/site_shares.h"

#include <algorithm>

namespace bulkhead::front {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;  // counts order nothing else
constexpr uint64_t kBufferedDefault = uint64_t{64} << 20;

}  // namespace

const char* SiteHold::take(SiteShare& share) {
  if (share_ == &share) return nullptr;
  release();
  if (share.buffered.load(kRelaxed) >= share.buffered_max.load(kRelaxed)) {
    return "limit.buffer of the site is used up";
  }
  if (share.requests.fetch_add(1, kRelaxed) >= share.requests_max.load(kRelaxed)) {
    share.requests.fetch_sub(1, kRelaxed);
    return "limit.connections of the site is used up";
  }
  share_ = &share;
  return nullptr;
}

void SiteHold::set_buffered(uint64_t bytes) {
  if (share_ == nullptr || bytes == bytes_) return;
  share_->buffered.fetch_add(bytes - bytes_, kRelaxed);  // modulo 2^64: also less
  bytes_ = bytes;
}

void SiteHold::release() {
  if (share_ == nullptr) return;
  set_buffered(0);
  share_->requests.fetch_sub(1, kRelaxed);
  share_ = nullptr;
}

void SiteShares::configure(const config::Snapshot& snapshot, uint64_t connections_max) {
  for (const config::Site& site : snapshot.sites) {
    SiteShare& share = of(site.id);
    const auto half =
        static_cast<uint32_t>(std::clamp<uint64_t>(connections_max / 2, 1, UINT32_MAX));
    share.requests_max.store(site.connections_max != 0 ? site.connections_max : half, kRelaxed);
    share.queued_max.store(site.queue_max != 0 ? site.queue_max : UINT32_MAX, kRelaxed);
    share.buffered_max.store(site.buffer_max != 0 ? site.buffer_max : kBufferedDefault, kRelaxed);
  }
}

SiteShare& SiteShares::of(uint32_t site) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<SiteShare>& share = shares_[site];
  if (!share) share = std::make_unique<SiteShare>();
  return *share;
}

}  // namespace bulkhead::front
