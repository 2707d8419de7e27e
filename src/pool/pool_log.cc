// See pool_log.h.
#include "pool/pool_log.h"

#include <algorithm>

namespace bulkhead::pool {

void PoolLog::put(config::FpmLevel level, std::string_view text) {
  std::string payload(1, static_cast<char>(level));
  payload.append(text.substr(0, kLineMax));
  // One message is one line: what a script wrote must not forge another.
  std::replace(payload.begin() + 1, payload.end(), '\n', ' ');
  if (send_) {
    send_(payload);
  } else if (waiting_.size() < kWaitingMax) {
    waiting_.push_back(std::move(payload));
  }
}

void PoolLog::line(config::FpmLevel level, std::string_view text) {
  const auto now = loop::Clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    count_ = 0;
    if (dropped_ > 0) {
      put(config::FpmLevel::kWarning,
          std::to_string(std::exchange(dropped_, 0)) + " log lines were dropped: too many at once");
    }
  }
  if (++count_ > kPerSecond) {
    ++dropped_;
    return;
  }
  put(level, text);
}

void PoolLog::flush_waiting() {
  for (const std::string& payload : std::exchange(waiting_, {})) send_(payload);
}

}  // namespace bulkhead::pool
