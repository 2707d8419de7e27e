#include "front/site_client.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "front/site_state.h"

namespace bulkhead::front {
namespace {
constexpr uint32_t kReasonFailed = 1;  // ipc::SiteDownBody
constexpr uint32_t kReasonStopped = 2;
constexpr const char* kNotStarted = "the site could not be started";  // answered 503: see steps
constexpr loop::Millis kFailedRest{100};  // until a site that could not start is asked for again
}  // namespace

SiteClient::SiteClient(loop::EventLoop& loop, Hooks hooks) : SiteClient(loop, hooks, Limits()) {}

SiteClient::SiteClient(loop::EventLoop& loop, Hooks hooks, Limits limits)
    : impl_(std::make_unique<Impl>(loop, std::move(hooks), limits)) {
  if (std::thread::hardware_concurrency() < 2) impl_->limits.spin_max = loop::Micros(0);
  loop.add_poller(this);
}

SiteClient::~SiteClient() {
  BH_CHECK(impl_->outstanding == 0);
  impl_->loop.remove_poller(this);
}

Site& SiteClient::Impl::site(uint32_t id) {
  std::unique_ptr<Site>& entry = sites[id];
  if (!entry) {
    entry = std::make_unique<Site>(id, [this, id] {
      Site& s = site(id);
      s.waking = false;
      fail_waiting(s, AppError::kConnectTimeout, "the site was not started in time", EHOSTDOWN);
    });
    if (shares != nullptr) {
      entry->share = &shares->of(id);
      entry->block = &shares->counters().of(id);
    }
  }
  return *entry;
}

void SiteClient::Impl::wake(Site& site) {
  if (site.waking) return;
  // A site that cannot start must not make us ask master as fast as its clients ask us.
  if (loop.now() < site.failed_until) {
    fail_waiting(site, AppError::kConnect, kNotStarted, EHOSTDOWN);
    return;
  }
  site.waking = true;
  site.wake_timer.arm(loop, limits.wake_timeout);
  hooks.wake(site.id);
}

void SiteClient::Impl::fail_waiting(Site& site, AppError error, std::string_view detail,
                                    int file_error) {
  std::deque<RingStream*> streams = site.queue;  // fail() takes them out of the queue
  for (RingStream* stream : streams) stream->fail(error, detail);
  for (FileOperation& operation : site.files) {
    failed_files.emplace_back(std::move(operation), file_error);
  }
  site.files.clear();
}

void SiteClient::on_site_up(uint32_t id, uint32_t epoch, SiteEnds ends) {
  Site& site = impl_->site(id);
  site.waking = false;
  site.wake_timer.cancel();
  site.failed_until = {};
  site.last_epoch = std::max(site.last_epoch, epoch);
  if (site.up) site.draining.push_back(std::move(site.up));
  auto link = SiteLink::create(impl_->loop, *impl_, site, epoch, std::move(ends), impl_->limits);
  if (!link) {
    impl_->fail_waiting(site, AppError::kConnect, link.error().describe(), EHOSTDOWN);
    return;
  }
  site.up = std::move(*link);
  for (FileOperation& operation : site.files) site.up->files().ask(std::move(operation));
  site.files.clear();
  impl_->dispatch(site);
}

void SiteClient::on_site_down(uint32_t id, uint32_t epoch, uint32_t reason) {
  Site& site = impl_->site(id);
  if (site.up && site.up->epoch() == epoch) {
    if (reason == kReasonStopped) {
      site.draining.push_back(std::move(site.up));
    } else {
      using enum Impl::Death;
      impl_->bury(impl_->detach(*site.up), reason == kReasonFailed ? kBeforeService : kInService);
    }
  } else if (reason != kReasonStopped) {
    for (auto& link : site.draining) {
      if (link->epoch() != epoch) continue;
      impl_->bury(impl_->detach(*link));
      break;
    }
  }
  if (site.up) {  // it was one that drained: what it never took goes to its successor
    for (FileOperation& operation : site.files) site.up->files().ask(std::move(operation));
    site.files.clear();
    impl_->dispatch(site);
    return;
  }
  // Epoch 0: master did not even try.
  bool failed_to_start =
      reason == kReasonFailed && site.waking && (epoch == 0 || epoch > site.last_epoch);
  site.waking = false;
  site.wake_timer.cancel();
  if (failed_to_start) {
    site.failed_until = impl_->loop.now() + kFailedRest;
    impl_->fail_waiting(site, AppError::kConnect, kNotStarted, EHOSTDOWN);
  } else if (!site.queue.empty() || !site.files.empty()) {
    // It ended while we were asking for it (or took requests it will not serve): once more.
    impl_->wake(site);
  }
}

void SiteClient::forget_site(uint32_t id) {
  auto it = impl_->sites.find(id);
  if (it == impl_->sites.end()) return;
  Site& site = *it->second;
  site.waking = false;
  site.wake_timer.cancel();
  impl_->fail_waiting(site, AppError::kConnect, "the site was removed", EHOSTDOWN);
  if (site.up) site.draining.push_back(std::move(site.up));
}

std::unique_ptr<SiteLink> SiteClient::Impl::detach(SiteLink& link) {
  Site& site = link.site();
  if (site.up.get() == &link) return std::move(site.up);
  for (auto it = site.draining.begin(); it != site.draining.end(); ++it) {
    if (it->get() != &link) continue;
    std::unique_ptr<SiteLink> found = std::move(*it);
    site.draining.erase(it);
    return found;
  }
  return nullptr;
}

void SiteClient::Impl::bury(std::unique_ptr<SiteLink> link, Death death) {
  Site& site = link->site();
  link->closed = true;
  std::erase(hot, link.get());
  unwatch(*link);
  std::vector<RingStream*> again;
  for (RingStream* stream : link->take_streams()) {
    if (stream->take_back()) {
      stream->queued = true;
      again.push_back(stream);
    } else if (death == Death::kBeforeService && stream->waits_untaken()) {
      stream->fail(AppError::kConnect, kNotStarted);
    } else {
      stream->fail(stream->head_delivered() ? AppError::kClosedInBody : AppError::kClosed,
                   "the site's pool ended");
    }
  }
  site.queue.insert(site.queue.begin(), again.begin(), again.end());
  publish_queue(site);
  for (FileOperation& operation : link->files().take_waiting()) {
    if (operation.repeated) {
      failed_files.emplace_back(std::move(operation), ECONNRESET);
      continue;
    }
    operation.repeated = true;
    site.files.push_back(std::move(operation));
  }
  graveyard.push_back(std::move(link));
}

void SiteClient::Impl::link_closed(SiteLink& link, std::string_view why) {
  Site& site = link.site();
  std::unique_ptr<SiteLink> owned = detach(link);
  if (!owned) return;
  const bool served = owned->served;
  bury(std::move(owned), served ? Death::kInService : Death::kBeforeService);
  if (!why.empty()) hooks.refused(site.id, why);
  if (site.up) {  // it was one that drained
    for (FileOperation& operation : site.files) site.up->files().ask(std::move(operation));
    site.files.clear();
    dispatch(site);
  } else if (!site.queue.empty() || !site.files.empty()) {
    wake(site);
  }
}

void SiteClient::Impl::dispatch(Site& site) {
  if (!site.up || site.up->ring() == nullptr) return;
  while (!site.queue.empty()) {
    RingStream* stream = site.queue.front();
    if (site.up->start(*stream, nullptr) != SiteLink::Started::kYes) break;
    stream->queued = false;
    site.queue.pop_front();
  }
  site.up->ring()->set_queue(static_cast<uint32_t>(site.queue.size()));
  publish_queue(site);
}

void SiteClient::Impl::publish_queue(Site& site) {
  const auto size = static_cast<uint32_t>(site.queue.size());
  if (site.share == nullptr || size == site.published) return;
  site.share->queued.fetch_add(size - site.published, std::memory_order_relaxed);
  store_relaxed(site.block->queued, size);
  site.published = size;
}

std::unique_ptr<AppStream> SiteClient::start(const AppRequest& request, AppListener* listener) {
  Site& site = impl_->site(request.site);
  auto stream = std::make_unique<RingStream>(*impl_, site, request, listener);
  impl_->count_in(*stream);
  if (site.up && site.up->ring() == nullptr) {
    stream->fail(AppError::kConnect, "the site runs no PHP");
  } else if (!site.up || !site.queue.empty()) {
    impl_->enqueue(site, *stream, request);
  } else {
    switch (site.up->start(*stream, &request)) {
      case SiteLink::Started::kYes:
        break;
      case SiteLink::Started::kNoSlot:
        impl_->enqueue(site, *stream, request);
        break;
      case SiteLink::Started::kTooBig:
        stream->fail(AppError::kInvalid, "the request's variables are too big");
        break;
    }
  }
  return stream;
}

void SiteClient::Impl::enqueue(Site& site, RingStream& stream, const AppRequest& request) {
  if (site.queue.size() >= std::min(request.queue_max, waiting_max)) {
    stream.fail(AppError::kBusy, "too many requests wait for this site");
    return;
  }
  if (site.share != nullptr && site.share->queued.load(std::memory_order_relaxed) >=
                                   site.share->queued_max.load(std::memory_order_relaxed)) {
    stream.fail(AppError::kBusy, "limit.queue of the site is used up");
    return;
  }
  if (!stream.encode(request, {})) {
    stream.fail(AppError::kInvalid, "the request's variables are too big");
    return;
  }
  stream.queued = true;
  site.queue.push_back(&stream);
  publish_queue(site);
  if (!site.up) {
    wake(site);
  } else {
    site.up->ring()->set_queue(static_cast<uint32_t>(site.queue.size()));
  }
}

size_t SiteClient::inline_body_max(const Params& params) {
  size_t used = sizeof(ring::RequestHeader);
  for (size_t i = 0; i < params.size(); ++i) {
    used += sizeof(ring::NameValue) + params.name(i).size() + params.value(i).size() + 2;
  }
  return used > ring::kRequestBytes ? 0 : ring::kRequestBytes - used;
}

void SiteClient::Impl::stream_gone(RingStream& stream) {
  if (stream.queued) {
    std::erase(stream.site().queue, &stream);
    stream.queued = false;
    publish_queue(stream.site());
  }
  if (stream.link() != nullptr) stream.link()->drop(stream);
  if (stream.failing) std::erase(failing, &stream);
  stream.failing = false;
  count_out(stream);
}

void SiteClient::Impl::count_in(RingStream& stream) {
  stream.counted = true;
  ++outstanding;
  if (auto* block = stream.site().block) store_relaxed(block->active, block->active + 1);
}

void SiteClient::Impl::count_out(RingStream& stream) {
  if (!std::exchange(stream.counted, false)) return;
  --outstanding;
  if (auto* block = stream.site().block) store_relaxed(block->active, block->active - 1);
}

void SiteClient::Impl::stream_failed(RingStream& stream) {
  stream.failing = true;
  count_in(stream);
  failing.push_back(&stream);
}

void SiteClient::Impl::stream_wants_turn(RingStream& stream) {
  if (stream.link() != nullptr) link_wants_turn(*stream.link());
}

void SiteClient::Impl::link_wants_turn(SiteLink& link) {
  if (link.hot || link.closed || link.ring() == nullptr) return;
  link.hot = true;
  link.idle_turns = 0;
  hot.push_back(&link);
}

void SiteClient::Impl::slot_freed(SiteLink& link) {
  link.served = true;
  Site& site = link.site();
  if (site.up.get() == &link && !site.queue.empty()) dispatch(site);
}

void SiteClient::limit_waiting(uint32_t requests) {
  impl_->waiting_max = std::max(requests, ring::kSlots);
}

void SiteClient::count_in(LoopShares* shares) { impl_->shares = shares; }

size_t SiteClient::outstanding() const { return impl_->outstanding; }

FileTicket SiteClient::Impl::ask(uint32_t id, FileOperation operation, FileCallback done) {
  operation.done = std::move(done);
  operation.cancelled = std::make_shared<bool>(false);
  FileTicket ticket(operation.cancelled);
  Site& where = site(id);
  size_t waiting = where.files.size() + (where.up ? where.up->files().waiting() : 0);
  if (operation.path.size() >= ipc::kPathMax) {
    failed_files.emplace_back(std::move(operation), ENAMETOOLONG);
  } else if (operation.path.find('\0') != std::string::npos) {
    failed_files.emplace_back(std::move(operation), ENOENT);
  } else if (waiting >= std::min(limits.files_waiting_max, waiting_max)) {
    failed_files.emplace_back(std::move(operation), EBUSY);
  } else if (where.up) {
    where.up->files().ask(std::move(operation));
  } else {
    where.files.push_back(std::move(operation));
    wake(where);
  }
  return ticket;
}

namespace {
FileOperation operation_for(ipc::FileOp op, std::string_view path,
                            ipc::SymlinkRule rule = ipc::SymlinkRule::kOwned, uint16_t from = 0) {
  FileOperation operation;
  operation.op = op;
  operation.rule = rule;
  operation.from = from;
  operation.path = path;
  return operation;
}
}  // namespace

FileTicket SiteClient::open_file(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                                 uint16_t from, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kOpen, path, rule, from), std::move(done));
}
FileTicket SiteClient::list(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                            uint16_t from, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kList, path, rule, from), std::move(done));
}
FileTicket SiteClient::spool(uint32_t site, std::string_view path, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kSpool, path), std::move(done));
}
FileTicket SiteClient::append(uint32_t site, std::string_view path, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kAppend, path), std::move(done));
}
FileTicket SiteClient::connect(uint32_t site, std::string_view path, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kConnect, path), std::move(done));
}
FileTicket SiteClient::realpath(uint32_t site, std::string_view path, FileCallback done) {
  return impl_->ask(site, operation_for(ipc::FileOp::kRealpath, path), std::move(done));
}

}  // namespace bulkhead::front
