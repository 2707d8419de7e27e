// What SiteClient keeps about each site and about all of them.  Private to src/front/site_*.cc.
//
// Runs in: front.  Input: none of its own.  Threads: one event loop.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "front/file_channel.h"
#include "front/ring_stream.h"
#include "front/site_client.h"
#include "front/site_link.h"
#include "front/site_shares.h"
#include "loop/event_loop.h"
#include "ring/spin.h"

namespace bulkhead::front {

struct Site {
  explicit Site(uint32_t number, std::function<void()> wake_failed)
      : id(number), wake_timer(std::move(wake_failed)) {}
  uint32_t id;
  uint32_t last_epoch = 0;  // newest that was up
  bool waking = false;
  loop::Clock::time_point failed_until{};  // until then it is not asked for
  loop::Timer wake_timer;
  std::unique_ptr<SiteLink> up;                     // where new requests go
  std::vector<std::unique_ptr<SiteLink>> draining;  // stopped; what runs there may finish
  std::deque<RingStream*> queue;                    // requests without a slot, oldest first
  SiteShare* share = nullptr;
  ipc::SiteBlock* block = nullptr;   // its numbers for master; with `share`
  uint32_t published = 0;            // of the queue: counted in `share`
  std::vector<FileOperation> files;  // questions without a channel
};

struct SiteClient::Impl : RingStream::Owner, SiteLink::Owner {
  Impl(loop::EventLoop& event_loop, Hooks h, Limits l)
      : loop(event_loop), hooks(std::move(h)), limits(l) {}

  Site& site(uint32_t id);
  void wake(Site& site);
  void fail_waiting(Site& site, AppError error, std::string_view detail, int file_error);
  void dispatch(Site& site);
  // An exchange with the site begins, or is over.
  void count_in(RingStream& stream);
  void count_out(RingStream& stream);
  // The queue has changed.
  void publish_queue(Site& site);
  void enqueue(Site& site, RingStream& stream, const AppRequest& request);
  // The link can carry nothing more: repeats what no worker has begun, fails the rest.
  enum class Death : uint8_t { kInService, kBeforeService };  // it never became ready
  void bury(std::unique_ptr<SiteLink> link, Death death = Death::kInService);
  std::unique_ptr<SiteLink> detach(SiteLink& link);
  FileTicket ask(uint32_t site, FileOperation operation, FileCallback done);
  bool poll_links();
  bool report_failures();
  void cool(size_t index);
  void end_spin(ring::SpinPolicy::Outcome outcome);

  // RingStream::Owner
  loop::EventLoop& event_loop() override { return loop; }
  void stream_gone(RingStream& stream) override;
  void stream_failed(RingStream& stream) override;
  void stream_wants_turn(RingStream& stream) override;
  // SiteLink::Owner
  void link_closed(SiteLink& link, std::string_view why) override;
  void link_wants_turn(SiteLink& link) override;
  void slot_freed(SiteLink& link) override;

  loop::EventLoop& loop;
  Hooks hooks;
  Limits limits;
  std::unordered_map<uint32_t, std::unique_ptr<Site>> sites;
  std::vector<SiteLink*> hot;  // polled before every sleep; the others signal their eventfd
  std::vector<std::unique_ptr<SiteLink>> graveyard;  // destroyed by poll() once nobody reads there
  std::vector<RingStream*> failing;
  std::vector<std::pair<FileOperation, int>> failed_files;
  size_t outstanding = 0;
  uint32_t waiting_max = UINT32_MAX;  // limit_waiting()
  LoopShares* shares = nullptr;       // count_in()

  // Requests of one turn wake one worker; should it be slow, the others are not kept waiting.
  void watch(SiteLink& link);
  void unwatch(SiteLink& link);
  void rescue();
  std::vector<SiteLink*> watched;
  loop::Timer rescue_timer{[this] { rescue(); }};

  // Looks at the rings before a sleep.
  bool spinning = false;
  ring::SpinPolicy spin;
  loop::Clock::time_point spin_began{};
};

}  // namespace bulkhead::front
