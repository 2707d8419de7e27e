// One request to a site's pool as an AppStream: a slot of the site's ring, or a place in its queue.
//
// Runs in: front.  Input: response frames written by a worker (hostile).
// Threads: one event loop.  Owned by whoever called SiteClient::start(); SiteLink drives it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "front/app_stream.h"
#include "front/site_client.h"
#include "loop/event_loop.h"
#include "ring/front_ring.h"

namespace bulkhead::front {

class SiteLink;
struct Site;

class RingStream : public AppStream {
 public:
  // What the stream needs from the SiteClient.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual loop::EventLoop& event_loop() = 0;
    // The stream is gone from its queue or slot.
    virtual void stream_gone(RingStream& stream) = 0;
    // The stream has an error to report from the loop.
    virtual void stream_failed(RingStream& stream) = 0;
    // The stream wants process() to run soon.
    virtual void stream_wants_turn(RingStream& stream) = 0;
  };
  RingStream(Owner& owner, Site& site, const AppRequest& request, AppListener* listener);
  ~RingStream() override;

  // AppStream
  size_t write_body(std::string_view bytes) override;
  int body_room(std::array<iovec, 2>& pieces) override;
  void body_filled(size_t bytes) override;
  void finish_body() override;
  size_t peek(iovec* pieces, size_t max) override;
  void consume(size_t bytes) override;
  [[nodiscard]] bool ended() const override { return end_seen_ && first_ == pieces_.size(); }
  [[nodiscard]] bool last_peeked() const override { return end_seen_ && peeked_all_; }
  bool take_flush() override { return std::exchange(flush_, false); }
  [[nodiscard]] const AppEnd& end() const override { return end_; }

  // For SiteClient and SiteLink.
  // Encodes the request: into `area` (a slot) or, with an empty area, into private memory.
  bool encode(const AppRequest& request, std::span<unsigned char> area);
  // Gets a slot that holds the request (copying it there if it had to wait).
  void activate(SiteLink& link, ring::FrontRing& ring, int slot);
  // No worker has taken it yet.
  [[nodiscard]] bool waits_untaken() const;
  // The site died and no worker had taken the request: it waits again.  False: not possible.
  bool take_back();
  // Reads frames; reports to the listener, which may destroy the stream.  True: did something.
  bool process();
  // Something to do for process(): asked before the loop sleeps.
  [[nodiscard]] bool has_work() const;
  // Remembers an error for report(); the stream's slot is given up.
  void fail(AppError error, std::string_view detail);
  void report();

  [[nodiscard]] Site& site() { return site_; }
  [[nodiscard]] SiteLink* link() { return link_; }
  [[nodiscard]] int slot() const { return slot_; }
  [[nodiscard]] bool complete() const { return end_seen_; }
  [[nodiscard]] bool head_delivered() const { return head_done_; }
  bool queued = false;   // in the site's queue
  bool failing = false;  // in the client's list of errors to report
  bool counted = false;  // in the client's number of exchanges

 private:
  struct Piece {
    const char* data;
    uint32_t size;
    uint32_t free_to;  // 0 and `frees` false: the second piece of the frame frees
    bool frees;
  };
  enum class Step : uint8_t { kNext, kStop, kGone };
  Step take_frame(const ring::FrameView& frame);
  Step take_head(const ring::FrameView& frame);
  Step take_stderr(const ring::FrameView& frame);
  Step take_end(const ring::FrameView& frame);
  Step deliver_head();
  void take_body(const ring::FrameView& frame);
  void free_frame(const ring::FrameView& frame);
  // Calls a listener's method; false: the stream was destroyed in it.
  template <class Call>
  bool notify(Call call);
  void set_timer();
  void on_timer();
  // The slot is complete or dead, and nothing of it is needed any more.
  bool check_phase(ring::SlotPhase phase);

  Owner& owner_;
  Site& site_;
  AppListener* listener_;
  SiteLink* link_ = nullptr;
  ring::FrontRing* ring_ = nullptr;
  int slot_ = -1;
  loop::Millis read_timeout_, send_timeout_;
  uint32_t head_max_;
  uint32_t request_bytes_ = 0;
  std::vector<unsigned char> request_;  // while it waits for a slot
  loop::Timer timer_;

  std::vector<Piece> pieces_;  // parsed, unconsumed body; from first_ on
  size_t first_ = 0;
  std::string head_;
  AppEnd end_;
  AppError error_ = AppError::kNone;
  std::string detail_;
  bool* destroyed_ = nullptr;
  bool body_streams_, body_finished_ = false, body_blocked_ = false, body_started_ = false;
  bool head_done_ = false, end_seen_ = false, flush_ = false, peeked_all_ = false;
  bool stalled_ = false, writable_due_ = false;
  uint8_t taken_back_ = 0;  // times the site died before a worker took the request
};

}  // namespace bulkhead::front
