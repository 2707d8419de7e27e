// How fast one loop copies aside what sites answer to clients that do not read: so many bytes of
// each site per millisecond.  What is not copied yet stays in the site's ring, so that its workers
// wait and not the neighbours that the same loop serves.
//
// Runs in: front.  Input: none; it counts bytes that others copy.
// Threads: one loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>

#include "loop/event_loop.h"

namespace bulkhead::front {

class SpoolPace {
 public:
  // Of one site in one turn of the loop, and at most kept of what was not used.
  static constexpr uint64_t kBurstBytes = 128 * 1024;
  // 32 MiB a second in each loop: a worker whose client is slow gets rid of a page at once, of ten
  // megabytes in a third of a second.
  static constexpr uint64_t kBytesPerMs = 32 * 1024;
  static constexpr loop::Millis kTick{2};

  explicit SpoolPace(loop::EventLoop& loop) : loop_(loop) {}

  // Bytes of the site that may be copied now.
  [[nodiscard]] uint64_t allowance(uint32_t site);
  void spend(uint32_t site, uint64_t bytes);
  // Calls `resume` from the loop once the site may copy again; who asked first is first.
  void wait(uint32_t site, std::function<void()> resume);
  // Sites that are remembered: those that copied lately, or wait.
  [[nodiscard]] size_t known() const { return sites_.size(); }

 private:
  struct Site {
    uint64_t left = kBurstBytes;
    loop::Clock::time_point counted{};  // when `left` last grew
    std::deque<std::function<void()>> waiting;
  };
  void refill(Site& site);
  void tick();

  loop::EventLoop& loop_;
  std::unordered_map<uint32_t, Site> sites_;
  loop::Timer timer_{[this] { tick(); }};
};

}  // namespace bulkhead::front
