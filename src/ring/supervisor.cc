// The pool's part of WorkerRing: what it sees of its workers' slots, and what it does for dead
// ones.
//
// Runs in: a site's pool.  Input: shared memory that its own workers write.
#include <sys/eventfd.h>

#include <bit>

#include "ring/worker_ring.h"

namespace bulkhead::ring {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

bool WorkerRing::mark_dead(uint32_t worker) {
  bool had_request = false;
  clear_idle(worker);
  for (Loop& loop : loops_) {
    bool changed = false;
    for (std::atomic<uint64_t>& word : loop.segment().state) {
      uint64_t state = word.load(std::memory_order_acquire);
      if (phase_of(state) != SlotPhase::kTaken || worker_of(state) != worker) continue;
      uint64_t dead = pack_state(ticket_of(state), worker, SlotPhase::kDead);
      changed |= word.compare_exchange_strong(state, dead);
    }
    if (changed) signal_front(loop);
    had_request |= changed;
  }
  // It may have been woken for a request and died before taking it.
  wake_one_if_pending();
  return had_request;
}

uint32_t WorkerRing::pending() const {
  uint32_t count = 0;
  for (const Loop& loop : loops_) {
    const Segment& segment = loop.segment();
    for (uint32_t left = segment.submitted.load(kRelaxed); left != 0; left &= left - 1) {
      const uint64_t state = segment.state[std::countr_zero(left)].load(kRelaxed);
      count += phase_of(state) == SlotPhase::kSubmitted ? 1 : 0;
    }
  }
  return count;
}

bool WorkerRing::is_busy(uint32_t worker) const {
  for (const Loop& loop : loops_) {
    for (const std::atomic<uint64_t>& word : loop.segment().state) {
      uint64_t state = word.load(kRelaxed);
      if (phase_of(state) == SlotPhase::kTaken && worker_of(state) == worker) return true;
    }
  }
  return false;
}

bool WorkerRing::is_idle(uint32_t worker) const {
  return (bell().idle[worker / 64].load(kRelaxed) >> (worker % 64) & 1) != 0;
}

uint64_t WorkerRing::accepted() const {
  uint64_t sum = 0;
  for (const Loop& loop : loops_) sum += loop.segment().accepted.load(kRelaxed);
  return sum;
}

uint32_t WorkerRing::queue_length() const {
  uint32_t sum = pending();
  for (const Loop& loop : loops_) sum += loop.segment().queue_length.load(kRelaxed);
  return sum;
}

uint32_t WorkerRing::queue_max() const {
  uint32_t most = 0;
  for (const Loop& loop : loops_) {
    most = std::max(most, loop.segment().queue_max.load(kRelaxed));
  }
  return most;
}

bool WorkerRing::arm_doorbell() {
  bell().spawn_wanted.store(0, kRelaxed);
  bell().pool_sleeps.store(1, kRelaxed);
  // Front stores a request, then looks whether we sleep; we say so, then look for requests.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (pending() == 0) return true;
  for (const std::atomic<uint64_t>& word : bell().idle) {
    if (word.load(kRelaxed) != 0) return true;
  }
  disarm_doorbell();
  return false;
}

void WorkerRing::disarm_doorbell() { bell().pool_sleeps.store(0, kRelaxed); }

}  // namespace bulkhead::ring
