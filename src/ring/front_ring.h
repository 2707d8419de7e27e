// Front's side of one Segment: submits requests, reads response frames, streams request bodies.
//
// Runs in: front.  Input: every byte of the segment is hostile, at any moment: each counter is
// copied once and then checked; positions are kept in private memory, never read back.
// Threads: one event loop per FrontRing.  Blocks: never.  No call loops more than kSlots,
// kWorkersMax or kFrameMax times, whatever a worker writes.
#pragma once

#include <sys/uio.h>

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "ring/layout.h"
#include "sys/fd.h"
#include "sys/shared_memory.h"

namespace bulkhead::ring {

// Writes RequestHeader, NameValue records and an inline body into `out` (a slot's request area, or
// private memory of up to kRequestBytes for a request that has to wait for a slot).
class RequestWriter {
 public:
  explicit RequestWriter(std::span<unsigned char> out);
  // False once something did not fit; the request must then not be submitted.
  [[nodiscard]] bool ok() const { return ok_; }
  void add(std::string_view name, std::string_view value);
  // Who asks over the network: 4 or 16 bytes; anything else is nobody.
  void set_peer(std::string_view address);
  // Room that is left for an inline body.
  [[nodiscard]] size_t room() const { return out_.size() - used_; }
  // Ends the request.  `total_body` counts the inline bytes too (kUnknownBody: no length known).
  // Returns the bytes used.
  size_t finish(std::string_view inline_body, uint64_t total_body, uint32_t flags);

 private:
  std::span<unsigned char> out_;
  size_t used_;
  uint32_t count_ = 0;
  std::string_view peer_;
  bool ok_;
};

// One frame, its payload still in shared memory: it may change at any time, so copy what is
// interpreted.
struct FrameView {
  Frame kind;
  uint32_t size;               // payload bytes
  uint32_t end;                // position for free_to() once the payload is not needed any more
  std::array<iovec, 2> piece;  // the second is used when the payload wraps
  uint32_t pieces;
};

enum class Next : uint8_t { kNone, kFrame, kBroken };
enum class Doorbell : uint8_t { kQuiet, kRing };

struct RingStats {
  uint64_t submitted = 0, wakes = 0, doorbells = 0;
};

class FrontRing {
 public:
  // Maps a segment and its site's bell after checking their sizes and seals.  Slots that a previous
  // front left behind are aborted; they become usable when their workers are done.
  // `workers_max`: indices of workers are below it (<= kWorkersMax).
  static Result<std::unique_ptr<FrontRing>> map(sys::FdRef segment, sys::FdRef bell,
                                                uint32_t workers_max);

  // A free slot, lowest first (so few pages are ever touched); -1 when all are taken.
  [[nodiscard]] int acquire();
  [[nodiscard]] uint32_t slots_in_use() const {
    return static_cast<uint32_t>(std::popcount(in_use_));
  }
  [[nodiscard]] std::span<unsigned char> request_area(int slot);
  // Gives the request to the site's workers; wake_workers() must follow soon.
  void post(int slot);
  // Wakes one idle worker for the `posted` requests given since the last call: a worker takes one
  // after the other, and wakes the next worker itself where its requests take long.
  // kRing: fewer workers were idle and the pool asked to be told (send FileOp::kSpawn).
  [[nodiscard]] Doorbell wake_workers(uint32_t posted);
  // post() and wake_workers(1).
  [[nodiscard]] Doorbell submit(int slot);
  // Requests given that no worker has taken, by what the slots say now.
  [[nodiscard]] uint32_t unclaimed() const;
  // Whether some worker sleeps, by what it says.
  [[nodiscard]] bool has_idle_worker() const { return idle_workers() != 0; }
  // Gives up an acquired slot that was not submitted.
  void cancel(int slot);

  // The next frame of the response, once.  After kBroken the slot only reports kBroken.
  [[nodiscard]] Next next_frame(int slot, FrameView& frame);
  // Frees the ring up to `end` of a frame (or any earlier frame's) and wakes a worker that waits
  // for room.
  void free_to(int slot, uint32_t end);
  // Copies a payload, at most `into.size()` bytes; returns the count.
  static size_t copy_payload(const FrameView& frame, std::span<char> into);

  // Free space of the body ring in up to two pieces (0: full; room_appeared() tells when it is
  // not). -1: the worker's counter is impossible.
  [[nodiscard]] int body_space(int slot, std::array<iovec, 2>& pieces);
  void body_commit(int slot, uint32_t bytes);
  void body_finish(int slot);
  // body_space() returned 0 and the worker has consumed something since.
  [[nodiscard]] bool room_appeared(int slot) const;
  // room_appeared() was noticed: false until body_space() returns 0 again.
  void room_noticed(int slot) { private_[slot].wants_room = false; }

  // What the slot's state word says now.
  [[nodiscard]] SlotPhase phase(int slot) const;
  [[nodiscard]] bool has_unread(int slot) const;
  // The client is gone: tells the worker, or takes the request back when none has it yet (the slot
  // is then free).  Returns whether the slot is free.
  bool abort(int slot);
  // Takes back a request no worker has claimed: true when it is ours again (acquired state).
  bool withdraw(int slot);
  // Frees a slot whose phase is kDone or kDead; false (nothing happens) otherwise.
  bool release(int slot);

  // For the status page.
  void set_queue(uint32_t length);

  // Asks workers to signal the eventfd.  The caller must look at its slots again afterwards and
  // call wake_up() if it finds anything.
  void prepare_sleep();
  // No signals wanted (any more).
  void wake_up();

  [[nodiscard]] const RingStats& stats() const { return stats_; }

 private:
  struct Private {        // front's own truth about a slot
    uint32_t parsed = 0;  // frames up to here were handed out
    uint32_t freed = 0;   // == response_tail
    uint32_t body_head = 0;
    uint32_t body_room_seen = 0;  // body_tail when the ring was found full
    bool broken = false, wants_room = false;
  };
  FrontRing(sys::Mapping segment, sys::Mapping bell, uint32_t workers_max);
  void adopt();
  void take_slot(uint32_t slot);
  void wake_waiting_worker(Slot& slot);
  bool wake_idle_worker();
  [[nodiscard]] uint32_t idle_workers() const;
  Segment& segment() { return *static_cast<Segment*>(segment_.data()); }
  const Segment& segment() const { return *static_cast<const Segment*>(segment_.data()); }
  Bell& bell() { return *static_cast<Bell*>(bell_.data()); }
  const Bell& bell() const { return *static_cast<const Bell*>(bell_.data()); }

  sys::Mapping segment_, bell_;
  uint32_t workers_max_;
  uint32_t next_ticket_ = 1;
  uint32_t in_use_ = 0;   // bit per slot
  uint32_t orphans_ = 0;  // of these: left behind by a front that died
  uint32_t queue_max_ = 0;
  std::array<Private, kSlots> private_{};
  RingStats stats_;
};

}  // namespace bulkhead::ring
