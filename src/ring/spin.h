// Whether looking at a ring for a moment before sleeping is worth it: learned from what came of it.
//
// Runs in: front (one per event loop) and workers.  Input: times.  Threads: its owner's.
// A sleep costs both sides a system call and the sleeper a wake-up, so a spin that is answered is
// cheap.  One that is not is a waste, and on a machine without an idle processor it keeps the very
// process waiting that would answer.  So: spins that are answered are repeated; when too many are
// in vain, or one loses its processor, there is a pause, twice as long each time, after which one
// spin tries again.  The longest pause bounds the waste: kPauseMax for each spin.
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::ring {

class SpinPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  using Micros = std::chrono::microseconds;

  // How long to spin now, at most `longest`; 0: sleep at once.
  [[nodiscard]] Micros budget(Micros longest, Clock::time_point now) const {
    return now < pause_until_ ? Micros(0) : longest;
  }

  // What came of a spin for which `budget` was given `spent` ago, at `now`.
  enum class Outcome : uint8_t { kAnswered, kInVain };
  void learn(Outcome outcome, Micros budget, Clock::duration spent, Clock::time_point now);

  // A spin that took this much longer than its budget was not running all the time.
  static constexpr Micros kStolen{50};
  static constexpr Micros kPauseMin{1000};
  static constexpr Micros kPauseMax{256'000};
  static constexpr Micros kStolenPauseMin{32'000};

 private:
  static constexpr int kScoreMax = 16;  // an answer is +1, a spin in vain is -4
  void pause(Micros least, Clock::time_point now);

  Micros pause_{0};  // the last one
  Clock::time_point pause_until_{};
  int score_ = 0;
};

}  // namespace bulkhead::ring
