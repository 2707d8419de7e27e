#include "ring/worker_ring.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "sys/futex.h"

namespace bulkhead::ring {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr uint32_t kResponseMask = kResponseBytes - 1;
constexpr uint32_t kBodyMask = kBodyBytes - 1;
constexpr uint32_t kHeader = sizeof(FrameHeader);
constexpr int kSpinTurns = 32;    // looks at the slots between two looks at the clock
constexpr uint32_t kLongUs = 40;  // requests of this length deserve a worker each

// See front_ring.cc: orders "I sleep" before the last look for work.
void full_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

constexpr uint32_t padded(uint32_t size) { return (size + 7) & ~7U; }

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// What is left of a timeout; negative stays negative (for ever).
std::chrono::nanoseconds left_of(std::chrono::milliseconds timeout, Clock::time_point start) {
  if (timeout.count() < 0) return std::chrono::nanoseconds(-1);
  auto left = timeout - (Clock::now() - start);
  return std::max<std::chrono::nanoseconds>(left, std::chrono::nanoseconds(0));
}

}  // namespace

Result<std::unique_ptr<WorkerRing>> WorkerRing::create(sys::FdRef bell,
                                                       std::vector<LoopEnds> ends) {
  sys::Mapping bell_map = TRY(sys::Mapping::map(bell, kBellBytes, "ring bell"));
  std::vector<Loop> loops;
  for (LoopEnds& e : ends) {
    Loop loop;
    loop.mapping = TRY(sys::Mapping::map(e.segment, kSegmentBytes, "ring segment"));
    loop.wake = std::move(e.wake);
    loops.push_back(std::move(loop));
  }
  if (loops.empty()) return fail("a ring without segments");
  return std::unique_ptr<WorkerRing>(new WorkerRing(std::move(bell_map), std::move(loops)));
}

WorkerRing::WorkerRing(sys::Mapping bell, std::vector<Loop> loops)
    : bell_(std::move(bell)), loops_(std::move(loops)) {}

// Takes the oldest request of the first segment that has one; segments take turns.
bool WorkerRing::claim(uint32_t worker) {
  for (uint32_t n = 0; n < loops_.size(); ++n) {
    uint32_t at = first_loop_ + n;
    if (at >= loops_.size()) at -= static_cast<uint32_t>(loops_.size());
    Segment& segment = loops_[at].segment();
    for (uint32_t tries = 0; tries < kSlots; ++tries) {
      uint32_t best = kSlots;
      uint64_t best_state = 0;
      for (uint32_t left = segment.submitted.load(kAcquire); left != 0; left &= left - 1) {
        const auto i = static_cast<uint32_t>(std::countr_zero(left));
        uint64_t state = segment.state[i].load(kRelaxed);
        if (phase_of(state) != SlotPhase::kSubmitted) continue;
        bool older =
            best == kSlots || static_cast<int32_t>(ticket_of(state) - ticket_of(best_state)) < 0;
        if (older) best = i, best_state = state;
      }
      if (best == kSlots) break;
      uint64_t taken = pack_state(ticket_of(best_state), worker, SlotPhase::kTaken);
      if (!segment.state[best].compare_exchange_strong(best_state, taken)) continue;
      // After the claim: whoever dies in between leaves a bit too many, never one too few.
      segment.submitted.fetch_and(~(uint32_t{1} << best));
      taken_state_ = taken;
      first_loop_ = at + 1 < loops_.size() ? at + 1 : 0;
      begin(at, best);
      return true;
    }
  }
  return false;
}

void WorkerRing::begin(uint32_t segment, uint32_t slot) {
  segment_index_ = segment;
  slot_index_ = slot;
  slot_ = &loops_[segment].segment().slot[slot];
  malformed_ = !request_.open({slot_->request, kRequestBytes});
  ended_ = false;
  inline_read_ = 0;
  body_tail_ = 0;
  head_ = published_ = 0;
  open_header_ = {};
  begun_ = Clock::now();
  // Front wakes one worker for all it has; if one would take long to do all, it gets help.
  if (service_average_us_ >= kLongUs) wake_one_if_pending();
}

bool WorkerRing::set_idle(uint32_t worker) {
  uint64_t bit = uint64_t{1} << (worker % 64);
  return (bell().idle[worker / 64].fetch_or(bit) & bit) == 0;
}

// True if the bit was still ours; false if somebody had taken it, to wake us.
bool WorkerRing::clear_idle(uint32_t worker) {
  uint64_t bit = uint64_t{1} << (worker % 64);
  return (bell().idle[worker / 64].fetch_and(~bit) & bit) != 0;
}

// A wake-up meant for a request that we did not take is passed on, or that request would wait
// although a worker sleeps.
void WorkerRing::wake_one_if_pending() {
  if (pending() == 0) return;
  for (uint32_t word = 0; word < kWorkersMax / 64; ++word) {
    uint64_t idle = bell().idle[word].load(kRelaxed);
    while (idle != 0) {
      uint64_t bit = idle & -idle;
      idle &= ~bit;
      if ((bell().idle[word].fetch_and(~bit) & bit) == 0) continue;
      uint32_t worker = word * 64 + static_cast<uint32_t>(std::countr_zero(bit));
      bell().wake[worker].fetch_add(1);
      sys::futex_wake(bell().wake[worker]);
      return;
    }
  }
}

bool WorkerRing::spin(uint32_t worker, std::chrono::microseconds spin_max, Clock::time_point start,
                      const std::atomic<bool>& stop) {
  const auto budget = spin_.budget(spin_max, start);
  // Others are waiting or running: the next request comes without a wait, or somebody needs the
  // processor.
  if (budget.count() <= 0 || !was_alone_) return false;
  bool got = false;
  Clock::time_point now = start;
  while (!got && now - start < budget && !stop.load(kRelaxed)) {
    for (int i = 0; !got && i < kSpinTurns; ++i) {
      got = pending() != 0 && claim(worker);
      if (!got) pause_cpu();
    }
    now = Clock::now();
  }
  using Outcome = SpinPolicy::Outcome;
  spin_.learn(got ? Outcome::kAnswered : Outcome::kInVain, budget, now - start, now);
  return got;
}

Wait WorkerRing::wait_for_request(uint32_t worker, std::chrono::microseconds spin_max,
                                  std::chrono::milliseconds timeout,
                                  const std::atomic<bool>& stop) {
  BH_CHECK(worker < kWorkersMax && slot_ == nullptr);
  if (stop.load(kRelaxed)) return Wait::kStopped;
  if (claim(worker)) return Wait::kRequest;
  Clock::time_point start = Clock::now();
  if (spin(worker, spin_max, start, stop)) return Wait::kRequest;
  return sleep_for_request(worker, timeout, start, stop);
}

Wait WorkerRing::sleep_for_request(uint32_t worker, std::chrono::milliseconds timeout,
                                   Clock::time_point start, const std::atomic<bool>& stop) {
  std::atomic<uint32_t>& word = bell().wake[worker];
  for (;;) {
    uint32_t seen = word.load();
    set_idle(worker);
    full_fence();
    bool got = claim(worker);
    bool stopped = !got && stop.load();
    bool in_time = true;
    if (!got && !stopped) {
      in_time = sys::futex_wait(word, seen, left_of(timeout, start));
      // Whoever woke us has cleared our bit and expects us to take a request.
    }
    bool woken = !clear_idle(worker);
    if (!got && !stopped) {
      got = claim(worker);
      stopped = !got && stop.load();
      if (got) woken = false;  // used for this request
    }
    if (woken && (got || stopped || !in_time)) wake_one_if_pending();
    if (got) return Wait::kRequest;
    if (stopped) return Wait::kStopped;
    if (!in_time) return Wait::kTimeout;
  }
}

void WorkerRing::interrupt(uint32_t worker) {
  int saved = errno;  // called from signal handlers
  bell().wake[worker].fetch_add(1);
  sys::futex_wake(bell().wake[worker]);
  errno = saved;
}

bool WorkerRing::aborted() const { return slot_ != nullptr && slot_->aborted.load(kRelaxed) != 0; }

// Sleeps until ready(); false when the time is over first.
template <class Ready>
bool WorkerRing::wait_event(Ready ready, std::chrono::milliseconds timeout) {
  Clock::time_point start = Clock::now();
  for (int i = 0; i < kSpinTurns; ++i) {
    if (ready()) return true;
    pause_cpu();
  }
  for (;;) {
    uint32_t seen = slot_->event.load();
    slot_->worker_waits.store(1, kRelaxed);
    full_fence();
    bool now = ready();
    bool in_time = true;
    if (!now) {
      in_time = sys::futex_wait(slot_->event, seen, left_of(timeout, start));
      now = ready();
    }
    slot_->worker_waits.store(0, kRelaxed);
    if (now) return true;
    if (!in_time) return false;
  }
}

ssize_t WorkerRing::read_body(std::span<char> into, std::chrono::milliseconds timeout) {
  if (slot_ == nullptr || malformed_ || into.empty()) return 0;
  std::string_view inlined = request_.inline_body();
  if (inline_read_ < inlined.size()) {
    size_t n = std::min(into.size(), inlined.size() - inline_read_);
    std::memcpy(into.data(), inlined.data() + inline_read_, n);
    inline_read_ += n;
    return static_cast<ssize_t>(n);
  }
  if (request_.body_bytes() == inlined.size()) return 0;
  auto readable = [&] {
    return slot_->body_end.load(kAcquire) != kBodyOpen ||
           slot_->body_head.load(kAcquire) != body_tail_;
  };
  if (!readable()) {
    publish();  // front may have to see what was written before it sends more
    if (!wait_event(readable, timeout)) return kBodyTimeout;
  }
  // The end is read first: what was provided before it was set is still to be read.
  uint32_t end = slot_->body_end.load(kAcquire);
  if (end == kBodyAborted) return kBodyAbortedByFront;
  uint32_t available = slot_->body_head.load(kAcquire) - body_tail_;
  if (available > kBodyBytes) return kBodyAbortedByFront;
  if (available == 0) return end == kBodyComplete ? 0 : kBodyAbortedByFront;
  uint32_t at = body_tail_ & kBodyMask;
  size_t n = std::min<size_t>({into.size(), available, kBodyBytes - at});
  std::memcpy(into.data(), slot_->body + at, n);
  body_tail_ += static_cast<uint32_t>(n);
  slot_->body_tail.store(body_tail_, kRelease);
  full_fence();
  if (slot_->front_wants_body_room.load(kRelaxed) != 0) {
    // Half of the ring at once, or it would be a signal for every few bytes.
    uint32_t used = slot_->body_head.load(kRelaxed) - body_tail_;
    if (used <= kBodyBytes / 2) {
      slot_->front_wants_body_room.store(0, kRelaxed);
      signal_front(loops_[segment_index_]);
    }
  }
  return static_cast<ssize_t>(n);
}

void WorkerRing::signal_front(Loop& loop) {
  // Callers have stored what front should see; the fence makes the handshake complete.
  full_fence();
  std::atomic<uint32_t>& sleeps = loop.segment().front_sleeps;
  if (sleeps.load(kRelaxed) == 0 || sleeps.exchange(0) == 0) return;
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(loop.wake.get(), &one, sizeof one);
}

void WorkerRing::publish() {
  if (slot_ == nullptr || head_ == published_) return;
  open_header_ = {};
  published_ = head_;
  slot_->response_head.store(head_, kRelease);
  signal_front(loops_[segment_index_]);
}

void WorkerRing::copy_in(uint32_t at, const void* bytes, size_t size) {
  if (size == 0) return;
  at &= kResponseMask;
  size_t first = std::min<size_t>(size, kResponseBytes - at);
  std::memcpy(slot_->response + at, bytes, first);
  if (first < size) {
    std::memcpy(slot_->response, static_cast<const char*>(bytes) + first, size - first);
  }
}

bool WorkerRing::wait_for_room(uint32_t bytes) {
  auto room = [&] {
    uint32_t used = head_ - slot_->response_tail.load(kAcquire);
    return (used <= kResponseBytes && kResponseBytes - used >= bytes) || aborted();
  };
  if (!room()) {
    publish();
    wait_event(room, std::chrono::milliseconds(-1));
  }
  return !aborted();
}

bool WorkerRing::append(Frame kind, std::string_view bytes) {
  uint32_t size = static_cast<uint32_t>(bytes.size());
  if (!wait_for_room(kHeader + padded(size))) return false;
  FrameHeader header{static_cast<uint32_t>(kind), size};
  open_frame_ = head_;
  open_header_ = header;
  copy_in(head_, &header, sizeof header);
  copy_in(head_ + kHeader, bytes.data(), bytes.size());
  head_ += kHeader + padded(size);
  return true;
}

bool WorkerRing::write_frame(Frame kind, std::string_view bytes) {
  if (slot_ == nullptr || ended_) return false;
  while (!bytes.empty()) {
    if (aborted()) return false;
    bool extend =
        open_header_.frame == static_cast<uint32_t>(kind) && open_header_.size < kFrameMax;
    uint32_t old = extend ? open_header_.size : 0;
    size_t n = std::min<size_t>(bytes.size(), kFrameMax - old);
    std::string_view part = bytes.substr(0, n);
    uint32_t grow = extend ? padded(old + static_cast<uint32_t>(n)) - padded(old) : 0;
    if (extend && grow != 0) {
      if (!wait_for_room(grow)) return false;
      extend = open_header_.frame != 0;  // waiting publishes, and that closes the frame
    }
    if (!extend) {
      part = bytes.substr(0, std::min<size_t>(bytes.size(), kFrameMax));
      if (!append(kind, part)) return false;
    } else {
      copy_in(open_frame_ + kHeader + old, part.data(), part.size());
      open_header_.size = old + static_cast<uint32_t>(part.size());
      copy_in(open_frame_, &open_header_, sizeof open_header_);
      head_ += grow;
    }
    bytes.remove_prefix(part.size());
    if (head_ - published_ >= kPublishBytes) publish();
  }
  return true;
}

bool WorkerRing::flush() {
  if (slot_ == nullptr || ended_) return false;
  bool ok = append(Frame::kFlush, {});
  publish();
  return ok;
}

void WorkerRing::end(const EndBody& end) {
  if (slot_ == nullptr || ended_) return;
  append(Frame::kEnd, {reinterpret_cast<const char*>(&end), sizeof end});
  ended_ = true;
}

void WorkerRing::done() {
  BH_CHECK(slot_ != nullptr);
  end(EndBody{});
  Loop& loop = loops_[segment_index_];
  if (head_ != published_) slot_->response_head.store(head_, kRelease);
  // Not a plain store: a pool that took us for dead may have marked the slot.
  uint64_t state = taken_state_;
  uint64_t finished = pack_state(ticket_of(state), worker_of(state), SlotPhase::kDone);
  loop.segment().state[slot_index_].compare_exchange_strong(state, finished);
  slot_ = nullptr;
  was_alone_ = is_alone();
  signal_front(loop);
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_).count();
  service_average_us_ += (static_cast<int32_t>(std::min<int64_t>(us, 4000)) -
                          static_cast<int32_t>(service_average_us_)) /
                         4;
}

// No other request is anywhere between front and the site's workers.
bool WorkerRing::is_alone() const {
  for (uint32_t n = 0; n < loops_.size(); ++n) {
    uint32_t occupied = loops_[n].segment().occupied.load(kRelaxed);
    if (n == segment_index_) occupied &= ~(uint32_t{1} << slot_index_);
    if (occupied != 0) return false;
  }
  return true;
}

}  // namespace bulkhead::ring
