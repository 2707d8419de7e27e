// The ring between real processes: workers that serve, that are killed, and that lie.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "ring/ring_harness.h"

namespace bulkhead::ring {
namespace {

using namespace std::chrono_literals;
using testing::finish;
using testing::Response;
using testing::Shared;

// Forks a process that runs `body` and ends.
template <class Body>
pid_t in_child(Body body) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  body();
  ::_exit(0);
}

void end_child(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

// Echoes the value of each request's param N times, N from its body; "crash" kills the process.
void serve(WorkerRing& ring, uint32_t index) {
  std::atomic<bool> stop{false};
  for (;;) {
    if (ring.wait_for_request(index, 20us, -1ms, stop) != Wait::kRequest) return;
    std::string_view name, value;
    ring.request().next(name, value);
    ring.write_frame(Frame::kHead, "Status: 200\r\n\r\n");
    if (value == "crash") {
      ring.publish();
      ::raise(SIGKILL);
    }
    std::string body(256, '\0');
    ssize_t n = ring.read_body(body, 1000ms);
    body.resize(n > 0 ? static_cast<size_t>(n) : 0);
    int times = body.empty() ? 1 : std::atoi(body.c_str());
    for (int i = 0; i < times; ++i) ring.write_frame(Frame::kBody, value);
    ring.done();
  }
}

TEST(RingProcesses, ServeManyRequests) {
  Shared s;
  pid_t workers[3];
  for (uint32_t i = 0; i < 3; ++i) workers[i] = in_child([&] { serve(*s.worker, i); });
  constexpr int kRequests = 20'000;
  struct Running {
    int number = -1;
    Response response;
  };
  Running running[kSlots];
  int sent = 0, answered = 0;
  auto until = std::chrono::steady_clock::now() + 60s;
  while (answered < kRequests && std::chrono::steady_clock::now() < until) {
    if (sent < kRequests && s.front->slots_in_use() < 10) {
      std::string times = std::to_string(sent % 1000 == 0 ? 100'000 : sent % 7 + 1);
      int slot = testing::submit(*s.front, "I", "<" + std::to_string(sent) + ">", times);
      ASSERT_GE(slot, 0);
      running[slot] = {sent++, {}};
      continue;
    }
    for (int slot = 0; slot < static_cast<int>(kSlots); ++slot) {
      Running& r = running[slot];
      if (r.number < 0) continue;
      SlotPhase phase = s.front->phase(slot);
      testing::read_frames(*s.front, slot, r.response);
      if (phase != SlotPhase::kDone) continue;
      int times = r.number % 1000 == 0 ? 100'000 : r.number % 7 + 1;
      std::string one = "<" + std::to_string(r.number) + ">";
      ASSERT_EQ(r.response.body.size(), one.size() * static_cast<size_t>(times));
      ASSERT_EQ(r.response.body.substr(0, one.size()), one);
      ASSERT_TRUE(r.response.ended);
      ASSERT_TRUE(s.front->release(slot));
      r.number = -1;
      ++answered;
    }
  }
  EXPECT_EQ(answered, kRequests);
  for (pid_t pid : workers) end_child(pid);
}

TEST(RingProcesses, LoseOnlyTheRequestOfAKilledWorker) {
  Shared s;
  pid_t workers[2];
  for (uint32_t i = 0; i < 2; ++i) workers[i] = in_child([&] { serve(*s.worker, i); });
  while (!s.worker->is_idle(0) || !s.worker->is_idle(1)) std::this_thread::yield();
  int victim = testing::submit(*s.front, "V", "crash");
  int bystander = testing::submit(*s.front, "V", "fine");
  int status = 0;
  pid_t dead = ::wait(&status);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(s.worker->mark_dead(dead == workers[0] ? 0 : 1));
  Response lost = finish(*s.front, victim);
  EXPECT_EQ(lost.head, "Status: 200\r\n\r\n");
  EXPECT_FALSE(lost.ended);
  Response kept = finish(*s.front, bystander);
  EXPECT_EQ(kept.body, "fine");
  EXPECT_TRUE(kept.ended);
  // The survivor goes on.
  EXPECT_EQ(finish(*s.front, testing::submit(*s.front, "V", "next")).body, "next");
  end_child(dead == workers[0] ? workers[1] : workers[0]);
}

TEST(RingProcesses, NoWakeUpIsLostWhenWorkersFallAsleep) {
  Shared s;
  pid_t workers[2];
  for (uint32_t i = 0; i < 2; ++i) {
    workers[i] = in_child([&] { serve(*s.worker, i); });
  }
  // Pauses around the time a worker needs to fall asleep hit the window again and again.
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    int first = testing::submit(*s.front, "V", "a");
    int second = testing::submit(*s.front, "V", "b");
    ASSERT_EQ(finish(*s.front, second).body, "b") << i;
    ASSERT_EQ(finish(*s.front, first).body, "a") << i;
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 60);
    while (std::chrono::steady_clock::now() < until) continue;
  }
  for (pid_t pid : workers) end_child(pid);
}

// A frame as an honest worker writes it, so that lies are told at every depth.
void write_plausible(Slot& slot, uint32_t kind, uint32_t size) {
  uint32_t head = slot.response_head.load() & ~7U;
  FrameHeader header{kind, size};
  std::memcpy(slot.response + head % kResponseBytes, &header, sizeof header);
  slot.response_head.store(head + sizeof header + (size + 7) / 8 * 8);
}

// Writes random words over the whole segment and the bell, most often where they hurt.
void scribble(Segment& segment, Bell& bell, uint32_t seed) {
  std::mt19937 random(seed);
  auto below = [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (;;) {
    // Pauses let front come as far as an honest worker would let it.
    if (below(20) == 0) ::usleep(below(200));
    Slot& slot = segment.slot[below(4)];
    uint32_t value = static_cast<uint32_t>(random());
    switch (below(200)) {
      case 0:
        slot.response_head.store(value);
        break;
      case 1:
        slot.response_head.fetch_add(value % 64 * 8);
        break;
      case 2:
        slot.response_tail.store(value);
        break;
      case 3:
        slot.body_tail.store(below(3) == 0 ? value : value % 70'000);
        break;
      case 4:
        slot.worker_waits.store(value & 1);
        break;
      case 5:
        segment.state[below(4)].store(value % 8 | uint64_t{value} << 32);
        break;
      case 6:
        segment.front_sleeps.store(value & 1);
        break;
      case 7:
        bell.idle[below(16)].store(uint64_t{value} << 32 | random());
        break;
      case 8:
        bell.pool_sleeps.store(value & 1);
        break;
      case 9:
        bell.wake[below(kWorkersMax)].store(value);
        break;
      case 10:
        write_plausible(slot, below(7), below(kFrameMax + 9));
        break;
      case 11: {
        FrameHeader header{below(6), below(100'000)};
        std::memcpy(slot.response + below(kResponseBytes / 8) * 8, &header, sizeof header);
        break;
      }
      case 12:
        segment.submitted.store(value);
        segment.occupied.store(value);
        break;
      default:
        write_plausible(slot, 1 + below(5), below(100));
        break;
    }
  }
}

TEST(RingProcesses, HostileWritesNeitherCrashNorBlockFront) {
  Shared s(kWorkersMax);
  sys::Mapping bell = std::move(*sys::Mapping::map(s.bell, kBellBytes, "bell"));
  pid_t pids[2];
  for (uint32_t i = 0; i < 2; ++i) {
    pids[i] = in_child([&] { scribble(s.raw(), *static_cast<Bell*>(bell.data()), i + 1); });
  }
  uint64_t frames = 0, broken = 0, released = 0;
  auto until = std::chrono::steady_clock::now() + 2s;
  std::mt19937 random(7);
  while (std::chrono::steady_clock::now() < until) {
    int slot = testing::submit(*s.front, "N", "V", "body", 100'000);
    if (slot < 0) {
      // A slot whose state was overwritten is lost to the site; for the test, start afresh.
      s.front = std::move(*FrontRing::map(s.segment, s.bell, kWorkersMax));
      continue;
    }
    for (int turn = 0; turn < 200; ++turn) {
      FrameView frame;
      Next next = s.front->next_frame(slot, frame);
      if (next == Next::kBroken) {
        ++broken;
        break;
      }
      std::array<iovec, 2> room;
      if (s.front->body_space(slot, room) > 0 && turn % 16 == 0) {
        uint32_t n = static_cast<uint32_t>(std::min<size_t>(room[0].iov_len, random() % 5000));
        std::memset(room[0].iov_base, 'b', n);
        s.front->body_commit(slot, n);
      }
      (void)s.front->room_appeared(slot);
      (void)s.front->has_unread(slot);
      if (next == Next::kNone) continue;
      ++frames;
      char copy[kFrameMax];
      EXPECT_EQ(FrontRing::copy_payload(frame, copy), frame.size);
      s.front->free_to(slot, frame.end);
    }
    s.front->prepare_sleep();
    s.front->wake_up();
    released += s.front->abort(slot) || s.front->release(slot) ? 1 : 0;
  }
  EXPECT_GT(frames, 0U);
  EXPECT_GT(broken, 0U);
  EXPECT_GT(released, 0U);
  for (pid_t pid : pids) end_child(pid);
}

}  // namespace
}  // namespace bulkhead::ring
