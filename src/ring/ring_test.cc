#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "ring/ring_harness.h"

namespace bulkhead::ring {
namespace {

using namespace std::chrono_literals;
using testing::finish;
using testing::Response;
using testing::Shared;

const std::atomic<bool> kNeverStop{false};

Wait take(WorkerRing& worker, uint32_t index = 0) {
  return worker.wait_for_request(index, 0us, 0ms, kNeverStop);
}

bool signalled(const sys::Fd& fd) {
  uint64_t count = 0;
  return ::read(fd.get(), &count, sizeof count) == sizeof count;
}

TEST(Ring, CarriesARequestAndItsResponse) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V", "body");
  EXPECT_EQ(s.worker->pending(), 1U);
  ASSERT_EQ(take(*s.worker, 3), Wait::kRequest);
  EXPECT_EQ(s.worker->pending(), 0U);
  EXPECT_TRUE(s.worker->is_busy(3));
  char buffer[16];
  EXPECT_EQ(s.worker->read_body(buffer, 0ms), 4);
  EXPECT_EQ(std::string_view(buffer, 4), "body");
  EXPECT_EQ(s.worker->read_body(buffer, 0ms), 0);
  EXPECT_TRUE(s.worker->write_frame(Frame::kHead, "Status: 200\r\n\r\n"));
  EXPECT_TRUE(s.worker->write_frame(Frame::kBody, "Hello, "));
  EXPECT_TRUE(s.worker->write_frame(Frame::kBody, "world"));
  EXPECT_TRUE(s.worker->write_frame(Frame::kStderr, "log"));
  EXPECT_FALSE(s.front->has_unread(slot)) << "nothing is visible before it is published";
  s.worker->end({7, 8, 9});
  EXPECT_FALSE(s.worker->write_frame(Frame::kBody, "too late"));
  s.worker->done();
  Response r = finish(*s.front, slot);
  EXPECT_EQ(r.head, "Status: 200\r\n\r\n");
  EXPECT_EQ(r.body, "Hello, world");
  EXPECT_EQ(r.err, "log");
  EXPECT_EQ(r.end.app_status, 7U);
  EXPECT_EQ(r.end.memory_peak, 9U);
  EXPECT_EQ(s.front->slots_in_use(), 0U);
  EXPECT_EQ(s.worker->accepted(), 1U);
}

TEST(Ring, JoinsSmallWritesIntoOneFrame) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  for (int i = 0; i < 100; ++i) s.worker->write_frame(Frame::kBody, "abc");
  s.worker->publish();
  FrameView frame;
  ASSERT_EQ(s.front->next_frame(slot, frame), Next::kFrame);
  EXPECT_EQ(frame.size, 300U);
  EXPECT_EQ(s.front->next_frame(slot, frame), Next::kNone);
}

TEST(Ring, HandsOutRequestsInOrderOfSubmission) {
  Shared s;
  for (int round = 0; round < 3; ++round) {
    int slots[kSlots];
    for (uint32_t i = 0; i < kSlots; ++i) {
      slots[i] = testing::submit(*s.front, "I", std::to_string(i));
      ASSERT_GE(slots[i], 0);
    }
    EXPECT_EQ(s.front->acquire(), -1) << "all slots are taken";
    for (uint32_t i = 0; i < kSlots; ++i) {
      ASSERT_EQ(take(*s.worker), Wait::kRequest);
      std::string_view name, value;
      ASSERT_TRUE(s.worker->request().next(name, value));
      EXPECT_EQ(value, std::to_string(i));
      s.worker->done();
    }
    // Released in another order, so that slot numbers and tickets disagree in the next round.
    for (uint32_t i = 0; i < kSlots; ++i) finish(*s.front, slots[(i * 7 + round) % kSlots]);
  }
}

TEST(Ring, PassesLargeResponsesWithBackPressure) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  std::string sent;
  for (int i = 0; sent.size() < 5'000'000; ++i) sent += std::to_string(i) + ",";
  std::thread worker([&] {
    ASSERT_EQ(take(*s.worker), Wait::kRequest);
    std::string_view left = sent;
    size_t step = 1;
    while (!left.empty()) {
      size_t n = std::min(left.size(), step);
      ASSERT_TRUE(s.worker->write_frame(Frame::kBody, left.substr(0, n)));
      left.remove_prefix(n);
      step = step * 3 % 90'001;
    }
    s.worker->done();
  });
  Response r = finish(*s.front, slot);
  worker.join();
  EXPECT_EQ(r.body, sent);
  EXPECT_TRUE(r.ended);
}

TEST(Ring, StreamsARequestBodyWithBackPressure) {
  Shared s;
  std::string sent;
  for (int i = 0; sent.size() < 1'000'000; ++i) sent += std::to_string(i) + ";";
  int slot = testing::submit(*s.front, "N", "V", sent.substr(0, 1000), sent.size());
  std::string received;
  std::thread worker([&] {
    ASSERT_EQ(take(*s.worker), Wait::kRequest);
    char buffer[7001];
    ssize_t n;
    while ((n = s.worker->read_body(buffer, 5000ms)) > 0) {
      received.append(buffer, static_cast<size_t>(n));
    }
    EXPECT_EQ(n, 0);
    s.worker->done();
  });
  std::string_view left = std::string_view(sent).substr(1000);
  while (!left.empty()) {
    std::array<iovec, 2> room;
    int pieces = s.front->body_space(slot, room);
    ASSERT_GE(pieces, 0);
    size_t taken = 0;
    for (int i = 0; i < pieces && !left.empty(); ++i) {
      size_t n = std::min(room[i].iov_len, left.size());
      std::memcpy(room[i].iov_base, left.data(), n);
      left.remove_prefix(n);
      taken += n;
    }
    s.front->body_commit(slot, static_cast<uint32_t>(taken));
    while (pieces == 0 && !s.front->room_appeared(slot)) std::this_thread::yield();
  }
  s.front->body_finish(slot);
  finish(*s.front, slot);
  worker.join();
  EXPECT_EQ(received, sent);
}

TEST(Ring, TimesOutWaitingForABody) {
  Shared s;
  testing::submit(*s.front, "N", "V", "", 10);
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  char buffer[8];
  EXPECT_EQ(s.worker->read_body(buffer, 10ms), kBodyTimeout);
}

TEST(Ring, AbortBeforeAWorkerTookItFreesTheSlotAtOnce) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  EXPECT_TRUE(s.front->abort(slot));
  EXPECT_EQ(s.front->slots_in_use(), 0U);
  EXPECT_EQ(take(*s.worker), Wait::kTimeout);
}

TEST(Ring, AbortWakesAWorkerThatWaitsForRoomOrBody) {
  for (bool for_body : {false, true}) {
    Shared s;
    int slot = testing::submit(*s.front, "N", "V", "", for_body ? 10 : 0);
    std::atomic<bool> finished{false};
    std::thread worker([&] {
      ASSERT_EQ(take(*s.worker), Wait::kRequest);
      char buffer[8];
      if (for_body) {
        EXPECT_EQ(s.worker->read_body(buffer, -1ms), kBodyAbortedByFront);
      } else {
        std::string block(kFrameMax, 'x');
        while (s.worker->write_frame(Frame::kBody, block)) continue;
      }
      EXPECT_TRUE(s.worker->aborted());
      s.worker->done();
      finished = true;
    });
    while (s.raw().slot[slot].worker_waits.load() == 0) std::this_thread::yield();
    EXPECT_FALSE(finished);
    bool freed = s.front->abort(slot);  // it may be done already
    worker.join();
    EXPECT_TRUE(freed || s.front->release(slot));
  }
}

TEST(Ring, WithdrawsOnlyWhatNoWorkerHasTaken) {
  Shared s;
  int first = testing::submit(*s.front, "A", "1");
  int second = testing::submit(*s.front, "B", "2");
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  EXPECT_FALSE(s.front->withdraw(first));
  EXPECT_TRUE(s.front->withdraw(second));
  EXPECT_EQ(s.worker->pending(), 0U);
  RequestView view;
  EXPECT_TRUE(view.open(s.front->request_area(second)));
  s.front->cancel(second);
}

TEST(Ring, TellsFrontOnlyWhenItSleeps) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  s.worker->flush();
  EXPECT_FALSE(signalled(s.wake));
  s.front->prepare_sleep();
  s.worker->flush();
  s.worker->flush();
  EXPECT_TRUE(signalled(s.wake));
  EXPECT_FALSE(signalled(s.wake)) << "one signal for one sleep";
  s.front->prepare_sleep();
  s.worker->done();
  EXPECT_TRUE(signalled(s.wake));
  EXPECT_EQ(finish(*s.front, slot).flushes, 3);
}

TEST(Ring, WakesTheLowestIdleWorkerAndRingsTheBellWhenThereIsNone) {
  Shared s;
  auto second = s.another_worker();
  std::atomic<int> served{-1};
  std::thread sleeper([&] {
    if (second->wait_for_request(5, 0us, 5000ms, kNeverStop) == Wait::kRequest) {
      served = 5;
      second->done();
    }
  });
  while (!s.worker->is_idle(5)) std::this_thread::yield();
  EXPECT_TRUE(s.worker->arm_doorbell());
  int slot = s.front->acquire();
  RequestWriter writer(s.front->request_area(slot));
  writer.finish("", 0, 0);
  EXPECT_EQ(s.front->submit(slot), Doorbell::kQuiet);
  sleeper.join();
  EXPECT_EQ(served, 5);
  finish(*s.front, slot);

  slot = s.front->acquire();
  RequestWriter again(s.front->request_area(slot));
  again.finish("", 0, 0);
  EXPECT_EQ(s.front->submit(slot), Doorbell::kRing);
  EXPECT_FALSE(s.worker->arm_doorbell()) << "a request waits already";
}

TEST(Ring, StopAndInterruptEndAWait) {
  Shared s;
  std::atomic<bool> stop{false};
  std::thread sleeper(
      [&] { EXPECT_EQ(s.worker->wait_for_request(0, 0us, -1ms, stop), Wait::kStopped); });
  while (!s.worker->is_idle(0)) std::this_thread::yield();
  stop = true;
  s.another_worker()->interrupt(0);
  sleeper.join();
  EXPECT_FALSE(s.worker->is_idle(0));
}

TEST(Ring, MarksTheRequestOfADeadWorker) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  auto dead = s.another_worker();
  ASSERT_EQ(take(*dead, 2), Wait::kRequest);
  dead->write_frame(Frame::kBody, "half");
  dead->publish();
  s.front->prepare_sleep();
  EXPECT_FALSE(s.worker->mark_dead(1));
  EXPECT_TRUE(s.worker->mark_dead(2));
  EXPECT_TRUE(signalled(s.wake));
  Response r = finish(*s.front, slot);
  EXPECT_EQ(r.body, "half");
  EXPECT_FALSE(r.ended);
  dead->done();  // not dead after all: the slot, free again, is not touched
  EXPECT_EQ(s.front->phase(slot), SlotPhase::kFree);
}

TEST(Ring, PassesOnTheWakeUpOfAWorkerThatDiedInItsSleep) {
  Shared s;
  s.raw().state[0].store(pack_state(9, 0, SlotPhase::kSubmitted));
  auto second = s.another_worker();
  // Worker 1 was woken for the request (its bit is gone) and died; worker 2 sleeps.  It looks once
  // before it sleeps, so hide the request until it does.
  s.raw().state[0].store(0);
  std::thread sleeper(
      [&] { EXPECT_EQ(second->wait_for_request(2, 0us, 5000ms, kNeverStop), Wait::kRequest); });
  while (!s.worker->is_idle(2)) std::this_thread::yield();
  std::this_thread::sleep_for(20ms);
  s.raw().state[0].store(pack_state(9, 0, SlotPhase::kSubmitted));
  s.raw().submitted.store(1);
  s.worker->mark_dead(1);
  sleeper.join();
}

TEST(Ring, TakesOverTheSegmentOfAFrontThatDied) {
  Shared s;
  testing::submit(*s.front, "waiting", "1");
  testing::submit(*s.front, "running", "1");
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  s.front = std::move(*FrontRing::map(s.segment, s.bell, 8));
  EXPECT_TRUE(s.worker->aborted());
  EXPECT_EQ(s.worker->pending(), 0U);
  EXPECT_EQ(s.front->slots_in_use(), 1U);
  int slot = s.front->acquire();
  EXPECT_EQ(slot, 1) << "slot 0 belongs to a worker still";
  s.front->cancel(slot);
  s.worker->done();
  EXPECT_EQ(s.front->acquire(), 0);
}

TEST(Ring, RefusesMemoryThatIsNotSealedOrHasAnotherSize) {
  Shared s;
  EXPECT_FALSE(FrontRing::map(s.bell, s.bell, 8));
  EXPECT_FALSE(FrontRing::map(s.segment, s.segment, 8));
  sys::Fd sealed = std::move(*sys::create_sealed("x", std::string(kBellBytes, '\0')));
  EXPECT_FALSE(FrontRing::map(s.segment, sealed, 8)) << "front could not write to it";
}

// Each row is a lie a worker may write; front must see it before it acts on it.
TEST(Ring, SeesThroughEveryLieAboutFrames) {
  struct Lie {
    const char* name;
    FrameHeader header;
    uint32_t head;
  };
  const Lie lies[] = {
      {"no such frame", {0, 8}, 16},
      {"no such frame", {6, 8}, 16},
      {"payload larger than any", {2, kFrameMax + 1}, kResponseBytes},
      {"payload near 2^32", {2, 0xffffffff}, kResponseBytes},
      {"payload beyond what was produced", {2, 100}, 104},
      {"half a header", {2, 0}, 4},
      {"more produced than the ring holds", {2, 8}, kResponseBytes + 8},
      {"counter went back", {2, 8}, 0xfffffff8},
      {"padding not produced", {2, 1}, 9},
  };
  for (const Lie& lie : lies) {
    Shared s;
    int slot = testing::submit(*s.front, "N", "V");
    std::memcpy(s.raw().slot[slot].response, &lie.header, sizeof lie.header);
    s.raw().slot[slot].response_head.store(lie.head);
    FrameView frame;
    EXPECT_EQ(s.front->next_frame(slot, frame), Next::kBroken) << lie.name;
    s.raw().slot[slot].response_head.store(0);
    EXPECT_EQ(s.front->next_frame(slot, frame), Next::kBroken) << "broken stays broken";
  }
  Shared s;
  int slot = testing::submit(*s.front, "N", "V", "", 100);
  s.raw().slot[slot].body_tail.store(5);
  std::array<iovec, 2> room;
  EXPECT_EQ(s.front->body_space(slot, room), -1) << "more body consumed than provided";
}

TEST(Ring, FrameHeadersAreReadOnce) {
  Shared s;
  int slot = testing::submit(*s.front, "N", "V");
  ASSERT_EQ(take(*s.worker), Wait::kRequest);
  s.worker->write_frame(Frame::kBody, "12345678");
  s.worker->publish();
  FrameView frame;
  ASSERT_EQ(s.front->next_frame(slot, frame), Next::kFrame);
  FrameHeader lie{2, kFrameMax};
  std::memcpy(s.raw().slot[slot].response, &lie, sizeof lie);
  s.raw().slot[slot].response_tail.store(12345);
  EXPECT_EQ(frame.size, 8U);
  s.front->free_to(slot, frame.end);
  EXPECT_EQ(s.raw().slot[slot].response_tail.load(), 16U) << "front's own position counts";
}

}  // namespace
}  // namespace bulkhead::ring
