// The word that says which slots wait for a worker: a hint that may name too many, never too few.
#include <gtest/gtest.h>

#include "ring/ring_harness.h"

namespace bulkhead::ring {
namespace {

using namespace std::chrono_literals;
using testing::finish;
using testing::Shared;

const std::atomic<bool> kNeverStop{false};

Wait take(WorkerRing& worker) { return worker.wait_for_request(0, 0us, 0ms, kNeverStop); }

TEST(RingSlots, NamesInOneWordWhichSlotsWaitForAWorker) {
  Shared s;
  ASSERT_EQ(testing::submit(*s.front, "a", "1"), 0);
  ASSERT_EQ(testing::submit(*s.front, "b", "1"), 1);
  EXPECT_EQ(s.raw().submitted.load(), 3U);
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  EXPECT_EQ(s.raw().submitted.load(), 2U);
  EXPECT_TRUE(s.front->abort(1));
  EXPECT_EQ(s.raw().submitted.load(), 0U);
  EXPECT_EQ(s.raw().occupied.load(), 1U);
  s.worker->done();
  finish(*s.front, 0);
  EXPECT_EQ(s.raw().occupied.load(), 0U);
}

TEST(RingSlots, TakesNothingFromASlotThatOnlyTheWordNames) {
  Shared s;
  s.raw().submitted.store(~0U);
  EXPECT_EQ(s.worker->pending(), 0U);
  EXPECT_EQ(take(*s.worker), Wait::kTimeout);
}

TEST(RingSlots, ServesASlotAgainWhoseWorkerDiedBeforeItClearedTheWord) {
  Shared s;
  int slot = testing::submit(*s.front, "a", "1");
  const uint64_t state = s.raw().state[slot].load();
  s.raw().state[slot].store(pack_state(ticket_of(state), 3, SlotPhase::kTaken));
  ASSERT_TRUE(s.worker->mark_dead(3));
  ASSERT_TRUE(s.front->release(slot));
  EXPECT_EQ(s.worker->pending(), 0U);
  ASSERT_EQ(testing::submit(*s.front, "b", "2"), slot);
  EXPECT_EQ(s.worker->pending(), 1U);
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  EXPECT_EQ(s.worker->pending(), 0U);
}

}  // namespace
}  // namespace bulkhead::ring
