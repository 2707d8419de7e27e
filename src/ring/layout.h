// The shared memory between one event loop of front and one site's workers.
//
// Runs in: front and the site's pool and workers, both mapping the same sealed memfd.
// Input: front trusts no byte of it: every index and length is copied once, then checked.
// Threads: one front loop; many worker processes.
//
// A Segment is a header, an array of slot states, and `kSlots` slots.  One request occupies one
// slot from submission to release:
//
//   kFree --front--> kSubmitted --worker CAS--> kTaken(worker) --worker--> kDone --front--> kFree
//                                                    \--pool, worker died--> kDead --front--> kFree
//
// Request bytes (params and a small body) lie in the slot's request area before kSubmitted.  A
// larger body streams through `body` (front writes, worker reads).  The response streams through
// `response` (worker writes, front reads) as frames: FrameHeader then payload, in a byte ring.
// A frame is FrameHeader, payload, and padding to a multiple of 8, so no header is ever split by
// the end of the ring; it is published whole.  Byte counters are free running and start at 0 with
// each request, so a short response always touches the same few pages. Wake-ups: front wakes an
// idle worker through the site's Bell (one per site, shared by all loops) and a busy one that waits
// for front through `Slot::event`; a worker wakes front with the segment's eventfd, only when
// `front_sleeps` is set. A fresh segment and a fresh bell are all zeroes; nobody needs to
// initialise them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::ring {

constexpr uint32_t kMagic = 0x62686433;
constexpr uint32_t kSlots = 32;
constexpr uint32_t kRequestBytes = 128 * 1024;   // params and inline body
constexpr uint32_t kBodyBytes = 64 * 1024;       // power of two
constexpr uint32_t kResponseBytes = 256 * 1024;  // power of two
constexpr uint32_t kWorkersMax = 1024;           // per site

enum class SlotPhase : uint32_t { kFree, kSubmitted, kTaken, kDone, kDead };
// state word: ticket (high 32 bits, order of submission) | worker (16) << 8 | phase (8)
constexpr uint64_t pack_state(uint32_t ticket, uint32_t worker, SlotPhase phase) {
  return (uint64_t{ticket} << 32) | (uint64_t{worker & 0xffff} << 8) | static_cast<uint64_t>(phase);
}
constexpr SlotPhase phase_of(uint64_t s) { return static_cast<SlotPhase>(s & 0xff); }
constexpr uint32_t worker_of(uint64_t s) { return static_cast<uint32_t>(s >> 8) & 0xffff; }
constexpr uint32_t ticket_of(uint64_t s) { return static_cast<uint32_t>(s >> 32); }

struct RequestHeader {    // at the start of the request area
  uint32_t params_bytes;  // NameValue records that follow
  uint32_t params_count;
  uint64_t body_bytes;         // total; kUnknownBody when streamed without a length
  uint32_t inline_body_bytes;  // body bytes that follow the params; rest streams
  uint32_t flags;              // RequestFlag
  // Who spoke FastCGI to the pool: 4 or 16 bytes of an internet address, or none (Unix socket).
  uint32_t peer_bytes = 0;
  uint8_t peer[16] = {};
};
constexpr uint64_t kUnknownBody = ~uint64_t{0};
enum RequestFlag : uint32_t { kFlagAuthorizer = 1 };
// One CGI variable: NameValue, name, NUL, value, NUL.
struct NameValue {
  uint32_t name_size, value_size;
};

enum class Frame : uint32_t {
  kHead = 1,  // CGI header block ("Status: 404 ...\r\nContent-type: ...\r\n\r\n")
  kBody = 2,
  kStderr = 3,  // log text
  kFlush = 4,   // send what there is (PHP flush())
  kEnd = 5,     // EndBody; nothing follows.  The slot may still be busy (fastcgi_finish_request)
};
struct FrameHeader {
  uint32_t frame;
  uint32_t size;
};  // size <= kFrameMax
constexpr uint32_t kFrameMax = 32 * 1024;
struct EndBody {
  uint32_t app_status;
  uint32_t cpu_us;
  uint64_t memory_peak;
};

enum BodyEnd : uint32_t { kBodyOpen = 0, kBodyComplete = 1, kBodyAborted = 2 };

struct Slot {
  // Worker's side.
  alignas(64) std::atomic<uint32_t> response_head;  // bytes produced
  std::atomic<uint32_t> body_tail;                  // body bytes consumed
  std::atomic<uint32_t> worker_waits;               // set before it sleeps on `event`
  // Front's side.
  alignas(64) std::atomic<uint32_t> response_tail;  // bytes consumed
  std::atomic<uint32_t> body_head;                  // body bytes provided
  std::atomic<uint32_t> body_end;                   // BodyEnd
  std::atomic<uint32_t> aborted;                    // 1: client is gone
  std::atomic<uint32_t> event;  // futex word: front bumps it to wake a waiting worker
  std::atomic<uint32_t> front_wants_body_room;  // front sets when the body ring is full
  alignas(4096) unsigned char request[kRequestBytes];
  unsigned char body[kBodyBytes];
  unsigned char response[kResponseBytes];
};

struct Segment {
  uint32_t magic, slots;
  alignas(64) std::atomic<uint32_t> front_sleeps;  // front sets before epoll_wait; worker exchanges
                                                   // to 0, then signals
  alignas(64) std::atomic<uint32_t> queue_length;  // front: requests waiting for a slot (for the
                                                   // status page)
  std::atomic<uint32_t> queue_max;
  std::atomic<uint64_t> accepted;  // front: requests handed to this site
  // Bit i: slot i may be kSubmitted, so that nobody looks at all states, mostly cold, to find one.
  // Set after the state; cleared after a claim or a withdrawal. A bit too many (whoever claimed
  // died before clearing it) costs a look; the state decides.
  std::atomic<uint32_t> submitted;
  std::atomic<uint32_t> occupied;  // bit i: slot i is not kFree, as front knows it
  alignas(64) std::atomic<uint64_t> state[kSlots];
  alignas(4096) Slot slot[kSlots];
};

// One per site: which workers sleep, and a word for each to sleep on.
struct Bell {
  alignas(64) std::atomic<uint64_t> idle[kWorkersMax / 64];  // bit set: worker sleeps on wake[i]
  alignas(64) std::atomic<uint32_t> spawn_wanted;  // front sets when it found no idle worker
  std::atomic<uint32_t> pool_sleeps;  // pool sets: send FileOp::kSpawn when that happens (once)
  alignas(64) std::atomic<uint32_t> wake[kWorkersMax];  // futex words
};

static_assert(kSlots <= 32);  // Segment::submitted, Segment::occupied

constexpr size_t kSegmentBytes = sizeof(Segment);
constexpr size_t kBellBytes = sizeof(Bell);

}  // namespace bulkhead::ring
