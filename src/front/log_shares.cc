#include "front/log_shares.h"

#include <algorithm>
#include <utility>

namespace bulkhead::front {

void LogShare::fill(loop::Clock::time_point now) {
  // Longer than a burst takes to come back counts as that: the product stays far from overflow.
  constexpr int64_t kLongestMs = int64_t{kLogBurstBytes} * 1000 / kLogBytesPerSecond;
  const int64_t ms = std::chrono::duration_cast<loop::Millis>(now - filled_).count();
  if (ms <= 0) return;
  left_ =
      std::min(burst_, left_ + static_cast<size_t>(std::min(ms, kLongestMs)) * per_second_ / 1000);
  filled_ += loop::Millis(ms);
}

bool LogShare::take(size_t bytes, loop::Clock::time_point now) {
  fill(now);
  if (bytes > left_) return false;
  left_ -= bytes;
  return true;
}

bool LogShare::is_whole(loop::Clock::time_point now) {
  fill(now);
  return left_ == burst_;
}

LogShares::LogShares(loop::EventLoop& loop, uint32_t loops, Report report)
    : loop_(loop),
      loops_(std::max(loops, 1U)),
      report_(std::move(report)),
      timer_([this] { this->report(); }) {}

bool LogShares::take(uint64_t who, size_t bytes, const std::function<Place()>& place) {
  auto it = entries_.find(who);
  if (it == entries_.end()) {
    if (entries_.size() >= kEntriesMax) {
      for (auto old = entries_.begin(); old != entries_.end();) {
        const bool idle = old->second.suppressed == 0 && old->second.share.is_whole(loop_.now());
        old = idle ? entries_.erase(old) : std::next(old);
      }
    }
    it = entries_.emplace(who, Entry{LogShare(loops_, loop_.now()), 0, {}}).first;
  }
  Entry& entry = it->second;
  if (entry.share.take(bytes, loop_.now())) return true;
  if (entry.suppressed++ == 0) entry.place = place();
  if (!timer_.armed()) timer_.arm(loop_, kReportEvery);
  return false;
}

void LogShares::report() {
  for (auto& [who, entry] : entries_) {
    if (entry.suppressed == 0) continue;
    report_(std::exchange(entry.place, {}), std::exchange(entry.suppressed, 0));
  }
}

}  // namespace bulkhead::front
