// See site_counters.h.
#include "master/site_counters.h"

#include <algorithm>
#include <unordered_set>

#include "sys/shared_memory.h"
#include "sys/stream_io.h"

namespace bulkhead::master {
namespace {

constexpr size_t kBlocksAtOnce = 256;  // 48 KB

void add_block(const ipc::SiteBlock& block, SiteTotals* to) {
  // Modulo 2^64: a front that lies cannot make this overflow into anything undefined.
  to->active += block.active;
  to->queued += block.queued;
  to->last_s = std::max(to->last_s, block.last_s);
  to->bytes_in += block.bytes_in;
  to->bytes_out += block.bytes_out;
  to->time_us += block.time_us;
  for (size_t i = 0; i < ipc::kStatusClasses; ++i) to->requests[i] += block.requests[i];
  for (size_t i = 0; i < ipc::kTimeClasses; ++i) to->times[i] += block.times[i];
}

}  // namespace

void SiteCounters::know(const std::vector<config::Site>& sites) {
  std::unordered_set<std::string> wanted;
  std::unordered_set<uint32_t> numbers;
  for (const config::Site& site : sites) {
    names_[site.id] = site.name;
    wanted.insert(site.name);
    numbers.insert(site.id);
  }
  // A number that is gone still counts for its name, while there is a site of that name.
  std::erase_if(names_, [&](const auto& entry) {
    return !numbers.contains(entry.first) && !wanted.contains(entry.second);
  });
  std::erase_if(ended_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

Result<sys::FdRef> SiteCounters::begin(uint32_t front, uint32_t loops) {
  Front& entry = fronts_[front];
  entry.loops = loops;
  entry.memory = TRY(sys::create_shared("counters", ipc::counters_bytes(loops)));
  return entry.memory.ref();
}

void SiteCounters::end(uint32_t front) {
  auto at = fronts_.find(front);
  if (at == fronts_.end()) return;
  add(at->second, Gauges::kDrop, &ended_);
  fronts_.erase(at);
}

TotalsByName SiteCounters::totals() const {
  TotalsByName out = ended_;
  for (const auto& [number, front] : fronts_) add(front, Gauges::kCount, &out);
  return out;
}

std::vector<sys::FdRef> SiteCounters::memory() const {
  std::vector<sys::FdRef> out;
  for (const auto& [number, front] : fronts_) {
    if (front.memory.valid()) out.push_back(front.memory);
  }
  return out;
}

void SiteCounters::add(const Front& front, Gauges gauges, TotalsByName* to) const {
  if (!front.memory.valid()) return;
  std::vector<ipc::SiteBlock> blocks(kBlocksAtOnce);
  for (uint32_t loop = 0; loop < front.loops; ++loop) {
    const uint64_t begin = ipc::counters_bytes(loop);
    for (uint32_t first = 0; first < ipc::kSiteBlocks; first += kBlocksAtOnce) {
      const size_t bytes = blocks.size() * sizeof(ipc::SiteBlock);
      const sys::Moved got = sys::read_file(front.memory, reinterpret_cast<char*>(blocks.data()),
                                            bytes, begin + first * sizeof(ipc::SiteBlock));
      if (!got.ok() || got.bytes != bytes) return;
      for (ipc::SiteBlock& block : blocks) {
        if (block.site == 0) {
          first = ipc::kSiteBlocks - kBlocksAtOnce;  // the list of this loop ends
          break;
        }
        auto name = names_.find(block.site);
        if (name == names_.end()) continue;
        if (gauges == Gauges::kDrop) block.active = block.queued = 0;
        add_block(block, &(*to)[name->second]);
      }
    }
  }
}

}  // namespace bulkhead::master
