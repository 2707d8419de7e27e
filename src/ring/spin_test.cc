#include "ring/spin.h"

#include <gtest/gtest.h>

namespace bulkhead::ring {
namespace {

using namespace std::chrono_literals;
using Outcome = SpinPolicy::Outcome;
constexpr SpinPolicy::Micros kLongest = 50us;

class Spin : public ::testing::Test {
 protected:
  // One wait: whether it spins, and what comes of it.
  bool wait(Outcome outcome, SpinPolicy::Clock::duration spent = 10us) {
    const auto budget = policy_.budget(kLongest, now_);
    if (budget == 0us) return false;
    now_ += spent;
    policy_.learn(outcome, budget, spent, now_);
    return true;
  }
  // Spins among waits in vain, one every 100 us for `time`.
  int spins_in(SpinPolicy::Clock::duration time, SpinPolicy::Clock::duration spent = kLongest) {
    int spins = 0;
    for (const auto end = now_ + time; now_ < end; now_ += 100us) {
      spins += wait(Outcome::kInVain, spent) ? 1 : 0;
    }
    return spins;
  }
  SpinPolicy policy_;
  SpinPolicy::Clock::time_point now_{1h};
};

TEST_F(Spin, SpinsAsLongAsItIsAnswered) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(wait(Outcome::kAnswered));
}

TEST_F(Spin, NeverSpinsWithoutTimeForIt) { EXPECT_EQ(policy_.budget(0us, now_), 0us); }

TEST_F(Spin, AFewInVainAmongManyAnswersDoNotStopIt) {
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 9; ++j) EXPECT_TRUE(wait(Outcome::kAnswered));
    EXPECT_TRUE(wait(Outcome::kInVain));
  }
}

TEST_F(Spin, PausesWhenHalfAreInVain) {
  int spins = 0;
  for (int i = 0; i < 1000; ++i) spins += wait(Outcome::kAnswered) + wait(Outcome::kInVain);
  EXPECT_LT(spins, 20);
}

TEST_F(Spin, WastesLittleWhereItIsNeverAnswered) {
  EXPECT_LE(spins_in(1s), 12) << "pauses double";
  EXPECT_LE(spins_in(10s), 41) << "up to the longest";
  EXPECT_GE(spins_in(10s), 30) << "and it is tried again";
}

TEST_F(Spin, PausesLongAtOnceWhenItLostItsProcessor) {
  for (int i = 0; i < 100; ++i) wait(Outcome::kAnswered);
  EXPECT_TRUE(wait(Outcome::kAnswered, 3ms));
  EXPECT_EQ(policy_.budget(kLongest, now_ + SpinPolicy::kStolenPauseMin - 1us), 0us);
  EXPECT_EQ(policy_.budget(kLongest, now_ + SpinPolicy::kStolenPauseMin), kLongest);
  EXPECT_LE(spins_in(1s, 3ms), 6);
}

TEST_F(Spin, RecoversFromBadTimes) {
  spins_in(10s);
  now_ += SpinPolicy::kPauseMax;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(wait(Outcome::kAnswered));
  while (wait(Outcome::kInVain)) {
  }
  EXPECT_EQ(policy_.budget(kLongest, now_ + SpinPolicy::kPauseMin), kLongest) << "a short pause";
}

}  // namespace
}  // namespace bulkhead::ring
