#include "front/site_link.h"

#include <sys/epoll.h>

#include <bit>

#include "base/check.h"

namespace bulkhead::front {

Result<std::unique_ptr<SiteLink>> SiteLink::create(loop::EventLoop& loop, Owner& owner, Site& site,
                                                   uint32_t epoch, SiteEnds ends,
                                                   const SiteClient::Limits& limits) {
  std::unique_ptr<SiteLink> link(new SiteLink(loop, owner, site, epoch));
  SiteLink* self = link.get();
  link->files_ =
      TRY(FileChannel::create(loop, std::move(ends.channel), limits, [self](std::string_view why) {
        self->owner_.link_closed(*self, why);
      }));
  if (ends.segment.valid()) {
    link->ring_ = TRY(ring::FrontRing::map(ends.segment, ends.bell, ends.workers_max));
    link->wake_ = std::move(ends.wake);
    // Edge triggered: every signal is an event, and the counter is never read.
    TRY_STATUS(loop.add(link->wake_, EPOLLIN | EPOLLET, self));
  }
  return link;
}

SiteLink::SiteLink(loop::EventLoop& loop, Owner& owner, Site& site, uint32_t epoch)
    : loop_(loop), owner_(owner), site_(site), epoch_(epoch) {}

SiteLink::~SiteLink() {
  if (wake_.valid()) loop_.remove(wake_, this);
}

void SiteLink::on_ready(uint32_t) { owner_.link_wants_turn(*this); }

SiteLink::Started SiteLink::start(RingStream& stream, const AppRequest* request) {
  int slot = ring_->acquire();
  if (slot < 0) return Started::kNoSlot;
  if (request != nullptr && !stream.encode(*request, ring_->request_area(slot))) {
    ring_->cancel(slot);
    return Started::kTooBig;
  }
  stream.activate(*this, *ring_, slot);
  streams_[slot] = &stream;
  active_ |= 1U << slot;
  ring_->post(slot);
  ++posted_;
  // Awake from here on: poll() will look before the loop sleeps.
  ring_->wake_up();
  owner_.link_wants_turn(*this);
  return Started::kYes;
}

bool SiteLink::wake_workers() {
  if (posted_ == 0) return false;
  if (ring_->wake_workers(posted_) == ring::Doorbell::kRing) files_->ring_doorbell();
  bool several = posted_ > 1;
  posted_ = 0;
  return several && ring_->has_idle_worker();
}

bool SiteLink::rescue() {
  uint32_t waiting = ring_->unclaimed();
  if (waiting == 0 || !ring_->has_idle_worker()) return false;
  if (ring_->wake_workers(waiting) == ring::Doorbell::kRing) files_->ring_doorbell();
  return true;
}

void SiteLink::drop(RingStream& stream) {
  int slot = stream.slot();
  if (slot < 0 || streams_[slot] != &stream) return;
  streams_[slot] = nullptr;
  active_ &= ~(1U << slot);
  // After a complete response the script may go on (fastcgi_finish_request): not an abort.
  bool free = stream.complete() ? ring_->release(slot) : ring_->abort(slot);
  if (free) {
    owner_.slot_freed(*this);
  } else {
    lingering_ |= 1U << slot;
  }
}

std::vector<RingStream*> SiteLink::take_streams() {
  std::vector<RingStream*> streams;
  for (RingStream*& stream : streams_) {
    if (stream == nullptr || stream->complete()) continue;
    streams.push_back(stream);
    active_ &= ~(1U << stream->slot());
    stream = nullptr;
  }
  return streams;
}

bool SiteLink::poll() {
  bool worked = false;
  for (uint32_t left = lingering_; left != 0; left &= left - 1) {
    int slot = std::countr_zero(left);
    if (!ring_->release(slot)) continue;
    lingering_ &= ~(1U << slot);
    worked = true;
    owner_.slot_freed(*this);
  }
  for (uint32_t left = active_; left != 0; left &= left - 1) {
    int slot = std::countr_zero(left);
    // An earlier stream's listener may have destroyed this one.
    if (streams_[slot] != nullptr) worked |= streams_[slot]->process();
    if (closed) return true;
  }
  return worked;
}

bool SiteLink::has_work() const {
  for (uint32_t left = lingering_; left != 0; left &= left - 1) {
    ring::SlotPhase phase = ring_->phase(std::countr_zero(left));
    if (phase == ring::SlotPhase::kDone || phase == ring::SlotPhase::kDead) return true;
  }
  for (uint32_t left = active_; left != 0; left &= left - 1) {
    if (streams_[std::countr_zero(left)]->has_work()) return true;
  }
  return false;
}

}  // namespace bulkhead::front
