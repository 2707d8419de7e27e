#include "master/wake_gate.h"

#include <gtest/gtest.h>

namespace bulkhead::master {
namespace {

using namespace std::chrono_literals;
using Wanted = WakeGate::Wanted;

TEST(WakeGate, LetsSoManyStartAtOnceAndTheRestInOrder) {
  WakeGate gate(2);
  const WakeGate::Clock::time_point now{};
  EXPECT_TRUE(gate.enter({1, 10}, now));
  EXPECT_TRUE(gate.enter({1, 11}, now));
  EXPECT_FALSE(gate.enter({1, 12}, now));
  EXPECT_FALSE(gate.enter({1, 13}, now));
  EXPECT_FALSE(gate.enter({1, 12}, now)) << "asked twice, waits once";
  EXPECT_EQ(gate.next(now), std::nullopt);
  gate.leave(11);
  EXPECT_EQ(gate.next(now), (Wanted{1, 12}));
  EXPECT_EQ(gate.next(now), std::nullopt) << "12 takes the place of 11";
  gate.leave(12);
  EXPECT_FALSE(gate.enter({1, 14}, now)) << "13 asked before";
  EXPECT_EQ(gate.next(now), (Wanted{1, 13}));
  gate.leave(10);
  EXPECT_EQ(gate.next(now), (Wanted{1, 14}));
  EXPECT_FALSE(gate.is_anybody_waiting());
}

TEST(WakeGate, DoesNotWaitForASiteThatHangs) {
  WakeGate gate(1);
  const WakeGate::Clock::time_point now{};
  EXPECT_TRUE(gate.enter({1, 10}, now));
  EXPECT_FALSE(gate.enter({1, 11}, now));
  EXPECT_EQ(gate.next(now + WakeGate::kHold - 1ms), std::nullopt);
  EXPECT_EQ(gate.next(now + WakeGate::kHold), (Wanted{1, 11}));
  gate.leave(99);  // one that was never in it
  gate.leave(11);
  EXPECT_TRUE(gate.enter({1, 12}, now + WakeGate::kHold));
}

}  // namespace
}  // namespace bulkhead::master
