// How many sites may start at once: when many are woken together, each gets the machine in turn,
// and sites that are awake do not compete with all of them.
//
// Runs in: master.  Input: ids of sites.  Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace bulkhead::master {

class WakeGate {
 public:
  using Clock = std::chrono::steady_clock;
  // One that has not become ready by then counts no longer: a site whose disk hangs must not keep
  // the others asleep.
  static constexpr std::chrono::milliseconds kHold{100};

  struct Wanted {
    uint32_t front, site;
    bool operator==(const Wanted&) const = default;
  };

  // `at_once` >= 1.
  explicit WakeGate(size_t at_once) : at_once_(at_once) {}

  // True: the site may start now.  False: it waits, in order of asking; once, however often asked.
  bool enter(Wanted wanted, Clock::time_point now) {
    if (!waiting_.empty() || !is_open(now)) {
      if (std::find(waiting_.begin(), waiting_.end(), wanted) == waiting_.end()) {
        waiting_.push_back(wanted);
      }
      return false;
    }
    starting_.emplace_back(wanted.site, now);
    return true;
  }
  // The site is ready, or gone.
  void leave(uint32_t site) {
    std::erase_if(starting_, [site](const auto& one) { return one.first == site; });
  }
  // Who may start now of those that waited; it counts as starting.
  std::optional<Wanted> next(Clock::time_point now) {
    if (waiting_.empty() || !is_open(now)) return {};
    const Wanted wanted = waiting_.front();
    waiting_.pop_front();
    starting_.emplace_back(wanted.site, now);
    return wanted;
  }
  [[nodiscard]] bool is_anybody_waiting() const { return !waiting_.empty(); }

 private:
  bool is_open(Clock::time_point now) {
    std::erase_if(starting_, [now](const auto& one) { return now - one.second >= kHold; });
    return starting_.size() < at_once_;
  }

  size_t at_once_;
  std::vector<std::pair<uint32_t, Clock::time_point>> starting_;
  std::deque<Wanted> waiting_;
};

}  // namespace bulkhead::master
