// How much of the error logs the text of applications may fill: each site has a share of its own,
// so that one that floods its log neither fills the disk at once nor silences another.
//
// Runs in: front.  Input: sizes of lines that applications caused (hostile).
// Threads: one per loop; a site's share is divided among the loops.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "config/model.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

// A site may write so much at once, and then so much in a second.
constexpr size_t kLogBurstBytes = 4u << 20;
constexpr size_t kLogBytesPerSecond = 256u << 10;

// Grows with time, shrinks with what is written.
class LogShare {
 public:
  LogShare(uint32_t loops, loop::Clock::time_point now)
      : burst_(kLogBurstBytes / loops),
        per_second_(kLogBytesPerSecond / loops),
        left_(burst_),
        filled_(now) {}
  // Whether `bytes` more may be written; then they count.
  bool take(size_t bytes, loop::Clock::time_point now);
  [[nodiscard]] bool is_whole(loop::Clock::time_point now);

 private:
  void fill(loop::Clock::time_point now);
  size_t burst_, per_second_, left_;
  loop::Clock::time_point filled_;
};

class LogShares {
 public:
  // Where the note about suppressed lines goes.
  struct Place {
    uint64_t generation = 0;  // whose logs `targets` are
    config::List<config::ErrorLog> targets;
    std::string address;  // of the application
  };
  // `lines` of the application at `place` were not written since the last report.
  using Report = std::function<void(const Place& place, uint64_t lines)>;
  LogShares(loop::EventLoop& loop, uint32_t loops, Report report);

  // Whether a line of `who` may be written.  What may not is reported within kReportEvery;
  // `place` is called for then.
  bool take(uint64_t who, size_t bytes, const std::function<Place()>& place);

  static constexpr loop::Millis kReportEvery{1000};

 private:
  struct Entry {
    LogShare share;
    uint64_t suppressed = 0;
    Place place;
  };
  void report();

  static constexpr size_t kEntriesMax = 1024;  // then those that miss nothing are forgotten
  loop::EventLoop& loop_;
  const uint32_t loops_;
  Report report_;
  std::unordered_map<uint64_t, Entry> entries_;
  loop::Timer timer_;
};

}  // namespace bulkhead::front
