// The workers' side of a site's ring: takes requests, reads bodies, writes responses.
//
// Runs in: a site's workers (everything but the Supervisor part) and its pool (Supervisor part).
// The pool maps once; workers inherit the mapping by fork and each uses its copy of the object.
// Input: front's requests (front is less trusted than itself: sizes are checked).
// Threads: one per process.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ring/layout.h"
#include "ring/spin.h"
#include "sys/fd.h"
#include "sys/shared_memory.h"

namespace bulkhead::ring {

// The request in a slot.  Views point into shared memory that front does not touch until done().
class RequestView {
 public:
  RequestView() = default;
  // Copies the header and checks every size.  False: malformed.
  [[nodiscard]] bool open(std::span<const unsigned char> area);
  // Iterates over params: false at the end.  Both views are followed by a NUL byte.
  bool next(std::string_view& name, std::string_view& value);
  void rewind() {
    at_ = sizeof(RequestHeader);
    left_ = header_.params_count;
  }
  [[nodiscard]] uint32_t params_count() const { return header_.params_count; }
  // Total body length, kUnknownBody when not known; inline bytes included.
  [[nodiscard]] uint64_t body_bytes() const { return header_.body_bytes; }
  [[nodiscard]] std::string_view inline_body() const;
  [[nodiscard]] uint32_t flags() const { return header_.flags; }
  // 4 or 16 bytes of an internet address; empty: the request came over no network.
  [[nodiscard]] std::string_view peer() const {
    return {reinterpret_cast<const char*>(header_.peer), header_.peer_bytes};
  }

 private:
  std::span<const unsigned char> area_;
  RequestHeader header_{};
  size_t at_ = 0;
  uint32_t left_ = 0;
};

enum class Wait : uint8_t {
  kRequest,  // request() is ours
  kTimeout,
  kStopped,  // `stop` was set; no request was taken
};

// Result of read_body(): bytes > 0; 0 at the end.
constexpr ssize_t kBodyAbortedByFront = -1;  // client gone; the body will never be complete
constexpr ssize_t kBodyTimeout = -2;

class WorkerRing {
 public:
  struct LoopEnds {
    sys::Fd segment;  // memfd
    sys::Fd wake;     // eventfd that wakes that loop of front; kept
  };
  static Result<std::unique_ptr<WorkerRing>> create(sys::FdRef bell, std::vector<LoopEnds> loops);

  // ---- Worker ----

  // Waits for a request and takes the oldest of some segment: spins up to `spin_max` where that
  // pays (spin.h), then sleeps.  `stop` is read often; a signal handler that sets it should call
  // interrupt().  Negative timeout: for ever.  `worker` < kWorkersMax, unique among live workers.
  Wait wait_for_request(uint32_t worker, std::chrono::microseconds spin_max,
                        std::chrono::milliseconds timeout, const std::atomic<bool>& stop);
  // Makes wait_for_request() of `worker` look at `stop`.  Async-signal-safe; any process.
  void interrupt(uint32_t worker);

  // The request taken; malformed() if front wrote nonsense (then only end() and done() make sense).
  [[nodiscard]] RequestView& request() { return request_; }
  [[nodiscard]] bool malformed() const { return malformed_; }
  // Which loop of front sent it, and when the slot's ticket was drawn (for logs).
  [[nodiscard]] uint32_t loop_index() const { return segment_index_; }

  // Reads body bytes, inline ones first.  Blocks: until there is something, `timeout` (negative:
  // for ever), or the client is gone.
  ssize_t read_body(std::span<char> into, std::chrono::milliseconds timeout);

  // Appends to the response, split at kFrameMax; adjacent body writes become one frame.  It reaches
  // front at publish(), end of request, or when kPublishBytes have gathered.  A kHead block may be
  // written in several pieces; the first frame of another kind (but kStderr) ends it.
  // Blocks: while the response ring is full.  False: the client is gone (nothing was written;
  // keep going or stop, as PHP's ignore_user_abort says).
  bool write_frame(Frame kind, std::string_view bytes);
  // Makes everything written visible to front and wakes it if it sleeps.
  void publish();
  // kFlush: publishes, and front sends to the client at once.
  bool flush();
  // The response is complete (does not publish: done() or publish() does).  Later writes are
  // ignored.
  void end(const EndBody& end);
  [[nodiscard]] bool ended() const { return ended_; }
  // The client is gone.
  [[nodiscard]] bool aborted() const;
  // Gives the slot back; publishes; writes an EndBody of zeroes if end() was not called.
  void done();
  [[nodiscard]] bool busy() const { return slot_ != nullptr; }

  // ---- Supervisor (pool) ----

  // `worker` died: its idle bit is cleared, its request (if any) marked kDead and front told; other
  // requests that wait get another worker.  Call before its index is used again.
  // Returns whether it had a request.
  bool mark_dead(uint32_t worker);
  // Requests no worker has taken yet (submitted slots only), over all loops.
  [[nodiscard]] uint32_t pending() const;
  // Slots taken by `worker` right now: whether it is busy.
  [[nodiscard]] bool is_busy(uint32_t worker) const;
  // Whether `worker` sleeps, waiting for a request.
  [[nodiscard]] bool is_idle(uint32_t worker) const;
  // Front's numbers for the status page, summed over loops.
  [[nodiscard]] uint64_t accepted() const;
  [[nodiscard]] uint32_t queue_length() const;  // waiting for a slot, plus pending()
  [[nodiscard]] uint32_t queue_max() const;
  // Asks front to send FileOp::kSpawn when it finds no idle worker.  Returns false when that
  // already happened (pending() > 0 with nobody idle): act at once instead.
  bool arm_doorbell();
  void disarm_doorbell();

  static constexpr uint32_t kPublishBytes = 16 * 1024;

 private:
  struct Loop {
    sys::Mapping mapping;
    sys::Fd wake;
    [[nodiscard]] Segment& segment() const { return *static_cast<Segment*>(mapping.data()); }
  };
  WorkerRing(sys::Mapping bell, std::vector<Loop> loops);
  Bell& bell() const { return *static_cast<Bell*>(bell_.data()); }
  bool claim(uint32_t worker);
  void begin(uint32_t segment, uint32_t slot);
  bool spin(uint32_t worker, std::chrono::microseconds spin_max,
            std::chrono::steady_clock::time_point start, const std::atomic<bool>& stop);
  Wait sleep_for_request(uint32_t worker, std::chrono::milliseconds timeout,
                         std::chrono::steady_clock::time_point start,
                         const std::atomic<bool>& stop);
  bool set_idle(uint32_t worker);
  bool clear_idle(uint32_t worker);
  void wake_one_if_pending();
  [[nodiscard]] bool is_alone() const;
  bool wait_for_room(uint32_t bytes);
  template <class Ready>
  bool wait_event(Ready ready, std::chrono::milliseconds timeout);
  bool append(Frame kind, std::string_view bytes);
  void copy_in(uint32_t at, const void* bytes, size_t size);
  void signal_front(Loop& loop);

  sys::Mapping bell_;
  std::vector<Loop> loops_;
  uint32_t first_loop_ = 0;  // where the next scan starts
  // The request in hand.
  Slot* slot_ = nullptr;
  uint64_t taken_state_ = 0;
  uint32_t segment_index_ = 0, slot_index_ = 0;
  RequestView request_;
  bool malformed_ = false, ended_ = false;
  size_t inline_read_ = 0;
  uint32_t body_tail_ = 0;
  uint32_t head_ = 0, published_ = 0;  // response bytes written, and made visible
  uint32_t open_frame_ = 0;            // position of the last unpublished frame's header
  FrameHeader open_header_{};          // kind 0: none
  SpinPolicy spin_;
  std::chrono::steady_clock::time_point begun_{};  // the request in hand
  uint32_t service_average_us_ = 1000;             // how long recent requests took
  bool was_alone_ = false;                         // the last one, when it ended
};

}  // namespace bulkhead::ring
