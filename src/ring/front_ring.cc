#include "ring/front_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "sys/futex.h"

namespace bulkhead::ring {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr uint32_t kResponseMask = kResponseBytes - 1;
static_assert(std::has_single_bit(kResponseBytes) && std::has_single_bit(kBodyBytes));

// Orders our last store before our next load, as every sleep handshake needs: one side stores its
// data and then looks whether the other sleeps; the other says it sleeps and then looks for data.
void full_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

constexpr uint32_t bit_of(uint32_t slot) { return uint32_t{1} << slot; }

constexpr uint32_t padded(uint32_t size) { return (size + 7) & ~7U; }

// Up to two pieces of a byte ring, beginning at free-running position `at`.
uint32_t ring_pieces(unsigned char* ring, uint32_t ring_bytes, uint32_t at, uint32_t size,
                     std::array<iovec, 2>& pieces) {
  if (size == 0) return 0;
  uint32_t begin = at & (ring_bytes - 1);
  uint32_t first = std::min(size, ring_bytes - begin);
  pieces[0] = {ring + begin, first};
  if (first == size) return 1;
  pieces[1] = {ring, size - first};
  return 2;
}

}  // namespace

RequestWriter::RequestWriter(std::span<unsigned char> out)
    : out_(out), used_(sizeof(RequestHeader)), ok_(out.size() >= sizeof(RequestHeader)) {}

void RequestWriter::add(std::string_view name, std::string_view value) {
  // Sizes fit in 32 bits and do not overflow: both are compared with the room, which is small.
  size_t room = ok_ ? this->room() : 0;
  size_t fixed = sizeof(NameValue) + 2;
  if (room < fixed || name.size() > room - fixed || value.size() > room - fixed - name.size()) {
    ok_ = false;
    return;
  }
  NameValue sizes{static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())};
  unsigned char* at = out_.data() + used_;
  std::memcpy(at, &sizes, sizeof sizes);
  at += sizeof sizes;
  if (!name.empty()) std::memcpy(at, name.data(), name.size());
  at[name.size()] = 0;
  at += name.size() + 1;
  if (!value.empty()) std::memcpy(at, value.data(), value.size());
  at[value.size()] = 0;
  used_ += fixed + name.size() + value.size();
  ++count_;
}

void RequestWriter::set_peer(std::string_view address) {
  peer_ = address.size() == 4 || address.size() == 16 ? address : std::string_view();
}

size_t RequestWriter::finish(std::string_view inline_body, uint64_t total_body, uint32_t flags) {
  if (!ok_ || inline_body.size() > room()) {
    ok_ = false;
    return 0;
  }
  RequestHeader header{};
  header.params_bytes = static_cast<uint32_t>(used_ - sizeof header);
  header.params_count = count_;
  header.body_bytes = total_body;
  header.inline_body_bytes = static_cast<uint32_t>(inline_body.size());
  header.flags = flags;
  header.peer_bytes = static_cast<uint32_t>(peer_.size());
  std::copy(peer_.begin(), peer_.end(), header.peer);
  std::memcpy(out_.data(), &header, sizeof header);
  if (!inline_body.empty()) {
    std::memcpy(out_.data() + used_, inline_body.data(), inline_body.size());
  }
  used_ += inline_body.size();
  return used_;
}

Result<std::unique_ptr<FrontRing>> FrontRing::map(sys::FdRef segment, sys::FdRef bell,
                                                  uint32_t workers_max) {
  sys::Mapping segment_map = TRY(sys::Mapping::map(segment, kSegmentBytes, "ring segment"));
  sys::Mapping bell_map = TRY(sys::Mapping::map(bell, kBellBytes, "ring bell"));
  std::unique_ptr<FrontRing> ring(new FrontRing(std::move(segment_map), std::move(bell_map),
                                                std::min(workers_max, kWorkersMax)));
  ring->adopt();
  return ring;
}

FrontRing::FrontRing(sys::Mapping segment, sys::Mapping bell, uint32_t workers_max)
    : segment_(std::move(segment)), bell_(std::move(bell)), workers_max_(workers_max) {}

void FrontRing::adopt() {
  segment().magic = kMagic;
  segment().slots = kSlots;
  wake_up();
  for (uint32_t i = 0; i < kSlots; ++i) {
    uint64_t state = segment().state[i].load(kAcquire);
    if (phase_of(state) == SlotPhase::kFree) continue;
    in_use_ |= bit_of(i);
    orphans_ |= bit_of(i);
    next_ticket_ = std::max(next_ticket_, ticket_of(state) + 1);
    abort(static_cast<int>(i));
  }
  segment().occupied.store(in_use_, kRelaxed);
}

int FrontRing::acquire() {
  // The requests of a front that died: their slots are usable again when their workers are done.
  for (uint32_t left = orphans_; left != 0; left &= left - 1) release(std::countr_zero(left));
  const auto slot = static_cast<uint32_t>(std::countr_one(in_use_));
  if (slot >= kSlots) return -1;
  take_slot(slot);
  return static_cast<int>(slot);
}

void FrontRing::take_slot(uint32_t index) {
  in_use_ |= bit_of(index);
  private_[index] = Private{};
  Slot& slot = segment().slot[index];
  slot.response_head.store(0, kRelaxed);
  slot.body_tail.store(0, kRelaxed);
  slot.worker_waits.store(0, kRelaxed);
  slot.response_tail.store(0, kRelaxed);
  slot.body_head.store(0, kRelaxed);
  slot.body_end.store(kBodyOpen, kRelaxed);
  slot.aborted.store(0, kRelaxed);
  slot.front_wants_body_room.store(0, kRelaxed);
}

std::span<unsigned char> FrontRing::request_area(int slot) {
  return {segment().slot[slot].request, kRequestBytes};
}

void FrontRing::post(int slot) {
  uint64_t state = pack_state(next_ticket_++, 0, SlotPhase::kSubmitted);
  segment().state[slot].store(state, kRelease);
  segment().accepted.store(++stats_.submitted, kRelaxed);
  segment().occupied.store(in_use_, kRelaxed);
  segment().submitted.fetch_or(bit_of(static_cast<uint32_t>(slot)));
}

Doorbell FrontRing::submit(int slot) {
  post(slot);
  return wake_workers(1);
}

uint32_t FrontRing::unclaimed() const {
  uint32_t count = 0;
  for (uint32_t left = in_use_; left != 0; left &= left - 1) {
    if (phase(std::countr_zero(left)) == SlotPhase::kSubmitted) ++count;
  }
  return count;
}

uint32_t FrontRing::idle_workers() const {
  uint32_t count = 0;
  for (uint32_t word = 0; word * 64 < workers_max_; ++word) {
    uint64_t idle = bell().idle[word].load(kRelaxed);
    if (workers_max_ - word * 64 < 64) idle &= (uint64_t{1} << (workers_max_ - word * 64)) - 1;
    count += static_cast<uint32_t>(std::popcount(idle));
  }
  return count;
}

Doorbell FrontRing::wake_workers(uint32_t posted) {
  full_fence();
  if (posted <= idle_workers() && wake_idle_worker()) return Doorbell::kQuiet;
  wake_idle_worker();
  if (bell().spawn_wanted.load(kRelaxed) == 0) bell().spawn_wanted.store(1, kRelaxed);
  if (bell().pool_sleeps.load(kRelaxed) == 0) return Doorbell::kQuiet;
  if (bell().pool_sleeps.exchange(0) == 0) return Doorbell::kQuiet;
  ++stats_.doorbells;
  return Doorbell::kRing;
}

bool FrontRing::wake_idle_worker() {
  for (uint32_t word = 0; word * 64 < workers_max_; ++word) {
    // A private copy: the loop ends after 64 turns whatever happens to the shared word.
    uint64_t idle = bell().idle[word].load(kRelaxed);
    while (idle != 0) {
      uint64_t bit = idle & -idle;
      idle &= ~bit;
      uint32_t worker = word * 64 + static_cast<uint32_t>(std::countr_zero(bit));
      if (worker >= workers_max_) break;
      // Another loop of front may have woken it for a request of its own.
      if ((bell().idle[word].fetch_and(~bit) & bit) == 0) continue;
      bell().wake[worker].fetch_add(1);
      sys::futex_wake(bell().wake[worker]);
      ++stats_.wakes;
      return true;
    }
  }
  return false;
}

void FrontRing::cancel(int slot) {
  const uint32_t bit = bit_of(static_cast<uint32_t>(slot));
  BH_CHECK((in_use_ & bit) != 0);
  in_use_ &= ~bit;
  orphans_ &= ~bit;
  segment().occupied.store(in_use_, kRelaxed);
}

Next FrontRing::next_frame(int index, FrameView& frame) {
  Private& own = private_[index];
  if (own.broken) return Next::kBroken;
  Slot& slot = segment().slot[index];
  uint32_t head = slot.response_head.load(kAcquire);
  uint32_t available = head - own.parsed;
  if (available == 0) return Next::kNone;
  own.broken = true;  // until every check has passed
  // What is unread and what is read but not yet freed must fit the ring together.
  if (head - own.freed > kResponseBytes || available > kResponseBytes) return Next::kBroken;
  if (available < sizeof(FrameHeader) || (own.parsed & 7) != 0) return Next::kBroken;
  FrameHeader header;  // the one copy: the worker may change the original at any time
  std::memcpy(&header, slot.response + (own.parsed & kResponseMask), sizeof header);
  if (header.size > kFrameMax) return Next::kBroken;
  if (header.frame < static_cast<uint32_t>(Frame::kHead) ||
      header.frame > static_cast<uint32_t>(Frame::kEnd)) {
    return Next::kBroken;
  }
  uint32_t whole = static_cast<uint32_t>(sizeof header) + padded(header.size);
  if (available < whole) return Next::kBroken;
  own.broken = false;
  frame.kind = static_cast<Frame>(header.frame);
  frame.size = header.size;
  frame.pieces =
      ring_pieces(slot.response, kResponseBytes, own.parsed + static_cast<uint32_t>(sizeof header),
                  header.size, frame.piece);
  own.parsed += whole;
  frame.end = own.parsed;
  return Next::kFrame;
}

void FrontRing::free_to(int index, uint32_t end) {
  Private& own = private_[index];
  BH_CHECK(end - own.freed <= own.parsed - own.freed);
  if (end == own.freed) return;
  own.freed = end;
  Slot& slot = segment().slot[index];
  slot.response_tail.store(end, kRelease);
  full_fence();
  if (slot.worker_waits.load(kRelaxed) == 0) return;
  // Let it run only when it can write a good piece at once.
  uint32_t used = slot.response_head.load(kRelaxed) - end;
  if (used <= kResponseBytes / 2 || used > kResponseBytes) wake_waiting_worker(slot);
}

void FrontRing::wake_waiting_worker(Slot& slot) {
  slot.worker_waits.store(0, kRelaxed);
  slot.event.fetch_add(1);
  sys::futex_wake(slot.event);
}

size_t FrontRing::copy_payload(const FrameView& frame, std::span<char> into) {
  size_t copied = 0;
  for (uint32_t i = 0; i < frame.pieces && copied < into.size(); ++i) {
    size_t n = std::min(frame.piece[i].iov_len, into.size() - copied);
    std::memcpy(into.data() + copied, frame.piece[i].iov_base, n);
    copied += n;
  }
  return copied;
}

int FrontRing::body_space(int index, std::array<iovec, 2>& pieces) {
  Private& own = private_[index];
  Slot& slot = segment().slot[index];
  uint32_t tail = slot.body_tail.load(kAcquire);
  if (own.body_head - tail == kBodyBytes) {
    slot.front_wants_body_room.store(1, kRelaxed);
    full_fence();
    tail = slot.body_tail.load(kAcquire);
  }
  uint32_t used = own.body_head - tail;
  if (used > kBodyBytes) {
    own.broken = true;
    return -1;
  }
  own.wants_room = used == kBodyBytes;
  own.body_room_seen = tail;
  return static_cast<int>(
      ring_pieces(slot.body, kBodyBytes, own.body_head, kBodyBytes - used, pieces));
}

void FrontRing::body_commit(int index, uint32_t bytes) {
  Private& own = private_[index];
  Slot& slot = segment().slot[index];
  BH_CHECK(bytes <= kBodyBytes - (own.body_head - own.body_room_seen));
  own.body_head += bytes;
  slot.body_head.store(own.body_head, kRelease);
  full_fence();
  if (slot.worker_waits.load(kRelaxed) != 0) wake_waiting_worker(slot);
}

void FrontRing::body_finish(int index) {
  Slot& slot = segment().slot[index];
  slot.body_end.store(kBodyComplete, kRelease);
  full_fence();
  if (slot.worker_waits.load(kRelaxed) != 0) wake_waiting_worker(slot);
}

bool FrontRing::room_appeared(int index) const {
  const Private& own = private_[index];
  return own.wants_room && segment().slot[index].body_tail.load(kRelaxed) != own.body_room_seen;
}

SlotPhase FrontRing::phase(int slot) const {
  return phase_of(segment().state[slot].load(kAcquire));
}

bool FrontRing::has_unread(int slot) const {
  return segment().slot[slot].response_head.load(kAcquire) != private_[slot].parsed;
}

bool FrontRing::withdraw(int slot) {
  // A worker that has not claimed it cannot have looked at it either.
  uint64_t state = segment().state[slot].load(kAcquire);
  if (phase_of(state) != SlotPhase::kSubmitted) return false;
  if (!segment().state[slot].compare_exchange_strong(state, 0)) return false;
  segment().submitted.fetch_and(~bit_of(static_cast<uint32_t>(slot)));
  return true;
}

bool FrontRing::abort(int index) {
  BH_CHECK((in_use_ & bit_of(static_cast<uint32_t>(index))) != 0);
  private_[index].broken = true;  // nothing of it is read any more
  if (withdraw(index)) {
    cancel(index);
    return true;
  }
  Slot& slot = segment().slot[index];
  slot.aborted.store(1, kRelease);
  slot.body_end.store(kBodyAborted, kRelease);
  full_fence();
  wake_waiting_worker(slot);
  return release(index);
}

bool FrontRing::release(int slot) {
  SlotPhase phase = this->phase(slot);
  if (phase != SlotPhase::kDone && phase != SlotPhase::kDead) return false;
  segment().state[slot].store(0, kRelease);
  cancel(slot);
  return true;
}

void FrontRing::set_queue(uint32_t length) {
  segment().queue_length.store(length, kRelaxed);
  if (length <= queue_max_) return;
  queue_max_ = length;
  segment().queue_max.store(length, kRelaxed);
}

void FrontRing::prepare_sleep() {
  segment().front_sleeps.store(1, kRelaxed);
  full_fence();
}

void FrontRing::wake_up() { segment().front_sleeps.store(0, kRelaxed); }

}  // namespace bulkhead::ring
