// One epoch of one site as a loop of front is connected to it: its ring and its channel.
//
// Runs in: front.  Input: shared memory, eventfd and channel of a site (hostile).
// Threads: one event loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "front/file_channel.h"
#include "front/ring_stream.h"
#include "front/site_client.h"
#include "loop/event_loop.h"
#include "ring/front_ring.h"

namespace bulkhead::front {

struct Site;

class SiteLink : private loop::IoHandler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The channel closed, or the site broke protocol (`why` says how).  Not from inside calls.
    virtual void link_closed(SiteLink& link, std::string_view why) = 0;
    // poll() is wanted soon.
    virtual void link_wants_turn(SiteLink& link) = 0;
    // A slot became free.
    virtual void slot_freed(SiteLink& link) = 0;
  };
  static Result<std::unique_ptr<SiteLink>> create(loop::EventLoop& loop, Owner& owner, Site& site,
                                                  uint32_t epoch, SiteEnds ends,
                                                  const SiteClient::Limits& limits);
  ~SiteLink() override;

  [[nodiscard]] Site& site() { return site_; }
  [[nodiscard]] uint32_t epoch() const { return epoch_; }
  [[nodiscard]] FileChannel& files() { return *files_; }
  [[nodiscard]] ring::FrontRing* ring() { return ring_.get(); }

  enum class Started : uint8_t { kYes, kNoSlot, kTooBig };
  // Gives the stream a slot; `request` when it has not been encoded yet.
  Started start(RingStream& stream, const AppRequest* request);
  // The stream leaves: frees its slot, now or when its worker is done with it.
  void drop(RingStream& stream);
  // The streams that have a slot and are not complete, for when the site is gone.  Complete ones
  // stay: what they have not sent yet lies in our ring, so we must outlive them.
  std::vector<RingStream*> take_streams();
  [[nodiscard]] bool has_streams() const { return active_ != 0; }

  // Reads what workers wrote; true when there was something.
  bool poll();
  // Something to do for poll(), or will be before anybody signals.
  [[nodiscard]] bool has_work() const;
  void prepare_sleep() { ring_->prepare_sleep(); }
  void wake_up() { ring_->wake_up(); }
  // Tells the site's workers of the requests started since the last call.
  // True: some may be left for workers that sleep.
  bool wake_workers();
  // Wakes workers for requests that wait although some sleep.  False: there is nothing to watch.
  bool rescue();
  // Slots that wait for something from a worker.
  [[nodiscard]] bool waits() const { return (active_ | lingering_) != 0; }

  // For SiteClient's list of links it polls.
  bool hot = false;
  bool watched = false;  // in SiteClient's list for rescue()
  uint32_t idle_turns = 0;
  bool closed = false;
  bool served = false;  // some slot has come back: the pool did start

 private:
  SiteLink(loop::EventLoop& loop, Owner& owner, Site& site, uint32_t epoch);
  void on_ready(uint32_t events) override;

  loop::EventLoop& loop_;
  Owner& owner_;
  Site& site_;
  uint32_t epoch_;
  std::unique_ptr<ring::FrontRing> ring_;
  sys::Fd wake_;
  std::unique_ptr<FileChannel> files_;
  std::array<RingStream*, ring::kSlots> streams_{};
  uint32_t active_ = 0;     // slots with a stream that still reads
  uint32_t lingering_ = 0;  // slots without one, whose worker is not done
  uint32_t posted_ = 0;     // requests that wake_workers() has to tell of
};
static_assert(ring::kSlots <= 32);

}  // namespace bulkhead::front
