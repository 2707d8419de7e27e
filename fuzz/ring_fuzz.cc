// Links: bulkhead_ring
// Front's view of a ring segment that holds arbitrary bytes and changes between its reads.
//
// Input: a list of writes, each 8 bytes: where (2), what (1), how often front looks then (1),
// value (4).  Between the writes front reads frames, sends body, aborts, releases.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "ring/front_ring.h"

using namespace bulkhead;
using namespace bulkhead::ring;

namespace {

struct World {
  sys::Fd segment_fd, bell_fd;
  sys::Mapping segment, bell;
  std::unique_ptr<FrontRing> front;

  World() {
    segment_fd = std::move(*sys::create_shared("segment", kSegmentBytes));
    bell_fd = std::move(*sys::create_shared("bell", kBellBytes));
    segment = std::move(*sys::Mapping::map(segment_fd, kSegmentBytes, "segment"));
    bell = std::move(*sys::Mapping::map(bell_fd, kBellBytes, "bell"));
  }
  Segment& raw() { return *static_cast<Segment*>(segment.data()); }
  Bell& raw_bell() { return *static_cast<Bell*>(bell.data()); }
};

void write_one(World& world, uint16_t where, uint8_t what, uint32_t value) {
  Segment& segment = world.raw();
  Slot& slot = segment.slot[where & 1];
  switch (what % 11) {
    case 0:
      slot.response_head.store(value);
      break;
    case 1:
      slot.response_head.fetch_add(value & 0xff8);
      break;
    case 2:
      slot.body_tail.store(value);
      break;
    case 3:
      slot.body_tail.fetch_add(value & 0xfff);
      break;
    case 4:
      slot.worker_waits.store(value);
      break;
    case 5:
      segment.state[where & 1].store(uint64_t{value} << 32 | (value % 6));
      break;
    case 6:
      world.raw_bell().idle[where % 16].store(uint64_t{value} << 20 | value);
      break;
    case 7:
      world.raw_bell().pool_sleeps.store(value);
      break;
    case 8:
      slot.response_tail.store(value);
      break;
    case 10:
      segment.submitted.store(value);
      segment.occupied.store(~value);
      break;
    case 9: {
      FrameHeader header{value & 7, value >> 3};
      std::memcpy(slot.response + (where >> 1) % (kResponseBytes / 8) * 8, &header, sizeof header);
      break;
    }
  }
}

// One look of front at a slot; everything it may do with what it finds.
void look(FrontRing& front, int slot, bool* held) {
  FrameView frame;
  Next next = front.next_frame(slot, frame);
  if (next == Next::kFrame) {
    char copy[kFrameMax];
    if (FrontRing::copy_payload(frame, copy) != frame.size) std::abort();
    size_t sum = 0;
    for (uint32_t i = 0; i < frame.pieces; ++i) sum += frame.piece[i].iov_len;
    if (sum != frame.size || frame.size > kFrameMax) std::abort();
    if (!*held) front.free_to(slot, frame.end);
    *held = !*held;
  }
  std::array<iovec, 2> room;
  int pieces = front.body_space(slot, room);
  if (pieces > 0) {
    size_t sum = 0;
    for (int i = 0; i < pieces; ++i) sum += room[i].iov_len;
    if (sum > kBodyBytes) std::abort();
    size_t n = room[0].iov_len < 1000 ? room[0].iov_len : 1000;
    std::memset(room[0].iov_base, 'x', n);
    front.body_commit(slot, static_cast<uint32_t>(n));
  }
  (void)front.room_appeared(slot);
  (void)front.has_unread(slot);
  (void)front.phase(slot);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  for (auto& state : world.raw().state) state.store(0);
  world.front = std::move(*FrontRing::map(world.segment_fd, world.bell_fd, kWorkersMax));
  FrontRing& front = *world.front;
  int slots[2] = {-1, -1};
  bool held[2] = {};
  for (; size >= 8; data += 8, size -= 8) {
    uint16_t where;
    uint32_t value;
    std::memcpy(&where, data, 2);
    std::memcpy(&value, data + 4, 4);
    int which = where & 1;
    if (slots[which] < 0) {
      slots[which] = front.acquire();
      if (slots[which] < 0) break;
      RequestWriter writer(front.request_area(slots[which]));
      writer.add("NAME", "value");
      writer.finish("", 1'000'000, 0);
      (void)front.submit(slots[which]);
      held[which] = false;
    }
    write_one(world, where, data[2], value);
    for (int i = data[3] & 7; i > 0; --i) look(front, slots[which], &held[which]);
    if (data[3] >= 0xe0) {
      front.prepare_sleep();
      if (front.abort(slots[which]) || front.release(slots[which])) slots[which] = -1;
    }
  }
  return 0;
}
