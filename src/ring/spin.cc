#include "ring/spin.h"

#include <algorithm>

namespace bulkhead::ring {

void SpinPolicy::learn(Outcome outcome, Micros budget, Clock::duration spent,
                       Clock::time_point now) {
  if (spent > budget + kStolen) {
    pause(kStolenPauseMin, now);
  } else if (outcome == Outcome::kInVain) {
    score_ -= 4;
    if (score_ < 0) pause(kPauseMin, now);
  } else {
    score_ = std::min(score_ + 1, kScoreMax);
    if (score_ == kScoreMax) pause_ = Micros(0);
  }
}

void SpinPolicy::pause(Micros least, Clock::time_point now) {
  pause_ = std::clamp(pause_ * 2, least, kPauseMax);
  pause_until_ = now + pause_;
  score_ = 0;
}

}  // namespace bulkhead::ring
