#include "front/control.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>

#include "config/snapshot.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/stream_io.h"

namespace bulkhead::front {
namespace {

constexpr uint64_t kSnapshotBytesMax = 1u << 30;

Result<std::string> read_all(sys::FdRef file, uint64_t bytes) {
  if (bytes > kSnapshotBytesMax) return fail("the configuration is too large");
  std::string text(static_cast<size_t>(bytes), '\0');
  for (size_t done = 0; done < text.size();) {
    sys::Moved moved = sys::read_file(file, text.data() + done, text.size() - done, done);
    if (!moved.ok()) return fail_errno("reading the configuration failed", moved.error);
    if (moved.bytes == 0) return fail("the configuration is shorter than announced");
    done += moved.bytes;
  }
  return text;
}

std::string_view title_of(std::string_view role) {
  if (role == "nginx") return "nginx: worker process";
  if (role == "php-fpm") return "php-fpm: front";
  return "bulkhead: front";
}

bool all_valid(const std::vector<std::shared_ptr<sys::Fd>>& fds) {
  return std::all_of(fds.begin(), fds.end(), [](const auto& fd) { return fd && fd->valid(); });
}

}  // namespace

Result<std::unique_ptr<Control>> Control::create(sys::Fd master) {
  auto control = std::unique_ptr<Control>(new Control());
  Control* self = control.get();
  self->shared_.pid = static_cast<uint32_t>(::getpid());
  char hostname[256] = {};
  if (::gethostname(hostname, sizeof hostname - 1) == 0) self->shared_.hostname = hostname;
  self->events_ = TRY(loop::EventLoop::create());
  self->master_ = TRY(ipc::Channel::create(
      *self->events_, std::move(master), ipc::Role::kMaster, ipc::Phase::kServing,
      [self](ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
        self->on_message(op, payload, fds);
      },
      [self](const std::string& violation) {
        if (!violation.empty()) self->fail(Error{"master broke protocol: " + violation, 0});
        self->events_->stop();
      }));
  self->master_->send(ipc::Op::kReady);
  return control;
}

Control::~Control() { stop_loops(); }

int Control::run() {
  events_->run();
  stop_loops();
  return exit_code_;
}

void Control::fail(const Error& error) {
  ::fprintf(stderr, "bulkhead-front: %s\n", error.describe().c_str());
  exit_code_ = 1;
}

void Control::on_message(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
  if (Status done = dispatch(op, payload, fds); !done) {
    // Front cannot serve what it was told to: a fresh one may.
    fail(done.error());
    events_->stop();
  }
}

Status Control::dispatch(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
  switch (op) {
    case ipc::Op::kSnapshot:
      return take_snapshot(payload, fds);
    case ipc::Op::kListeners:
    case ipc::Op::kPoolListeners:
    case ipc::Op::kLogFiles:
      return take_descriptors(op, payload, fds);
    case ipc::Op::kActivate:
      return activate(payload);
    case ipc::Op::kSiteUp:
      return site_up(payload, fds);
    case ipc::Op::kSiteDown:
      return site_down(payload);
    case ipc::Op::kCounters:
      return take_counters(payload, fds);
    case ipc::Op::kMetrics:
      return take_metrics(fds);
    case ipc::Op::kQuit:
      quit();
      return {};
    default:
      return bulkhead::fail("master sent a message that is not for front");
  }
}

Status Control::take_snapshot(std::string_view payload, std::vector<sys::Fd>& fds) {
  auto body = ipc::read_body<ipc::SnapshotBody>(payload);
  if (!body || fds.empty()) return bulkhead::fail("a configuration without its bytes");
  std::string bytes = TRY(read_all(fds[0], body->bytes));
  config::Snapshot snapshot = TRY(config::deserialise_snapshot(bytes));
  bytes = std::string();
  pending_ = std::make_unique<Pending>();
  pending_->generation = body->generation;
  pending_->open = OpenSockets(active_.get());
  uint32_t loops = snapshot.loops;
  std::string role = snapshot.role;
  pending_->plan = TRY(Plan::create(std::move(snapshot)));
  if (loops_.empty()) {
    sys::set_process_title(title_of(role));
    TRY_STATUS(start_loops(loops));
  }
  const config::Model& model = pending_->plan->model();
  pending_->listeners.resize(model.listens.size());
  pending_->pool_listeners.resize(pending_->plan->snapshot().pool_listen_sites.size());
  pending_->logs.resize(model.log_files.size());
  return {};
}

Status Control::take_descriptors(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
  auto body = ipc::read_body<ipc::DescriptorsBody>(payload);
  if (!body) return bulkhead::fail("descriptors without their numbers");
  bool is_pending = pending_ != nullptr && pending_->generation == body->generation;
  auto fits = [&](size_t size) { return body->first <= size && fds.size() <= size - body->first; };
  constexpr const char* kTooMany = "more descriptors than the configuration has use for";
  if (is_pending && op != ipc::Op::kLogFiles) {
    auto& sockets = op == ipc::Op::kListeners ? pending_->listeners : pending_->pool_listeners;
    if (!fits(sockets.size())) return bulkhead::fail(kTooMany);
    for (size_t i = 0; i < fds.size(); ++i) {
      sockets[body->first + i] = pending_->open.share(std::move(fds[i]));
    }
    return {};
  }
  std::vector<sys::Fd>* into = is_pending ? &pending_->logs : nullptr;
  bool is_reopen = !is_pending && op == ipc::Op::kLogFiles && active_ != nullptr &&
                   active_->generation == body->generation;
  if (is_reopen) {
    if (body->first == 0) {
      reopened_.clear();
      reopened_.resize(active_->plan->model().log_files.size());
      reopened_count_ = 0;
    }
    into = &reopened_;
  }
  if (into == nullptr) return {};  // of a generation that was given up
  if (!fits(into->size())) return bulkhead::fail(kTooMany);
  for (size_t i = 0; i < fds.size(); ++i) (*into)[body->first + i] = std::move(fds[i]);
  if (is_reopen && (reopened_count_ += fds.size()) >= reopened_.size()) reopened();
  return {};
}

void Control::reopened() {
  auto set = std::make_shared<LogSet>();
  set->files = std::move(reopened_);
  reopened_.clear();
  for (auto& entry : loops_) {
    ServerLoop* loop = entry->loop.get();
    loop->events().post([loop, set = std::shared_ptr<const LogSet>(set)] { loop->set_logs(set); });
  }
}

Status Control::start_loops(uint32_t count) {
  count = std::clamp<uint32_t>(count, 1, kLoopsMax);
  shared_.loops = count;
  for (uint32_t i = 0; i < count; ++i) {
    auto entry = std::make_unique<LoopThread>();
    ServerLoop::Hooks hooks;
    hooks.wake = [this](uint32_t site) { post([this, site] { wake(site); }); };
    hooks.refused = [this](uint32_t site, std::string_view) {
      post([this, site] { refused(site); });
    };
    hooks.settled = [this, i](uint64_t generation) {
      post([this, i, generation] { loop_settled(i, generation); });
    };
    hooks.metrics = [this] { post([this] { want_metrics(); }); };
    entry->loop = TRY(ServerLoop::create(shared_, std::move(hooks)));
    if (shared_.site_blocks.size() >= ipc::counters_bytes(i + 1)) {
      auto* blocks = static_cast<ipc::SiteBlock*>(shared_.site_blocks.data());
      entry->loop->shares().counters().use(blocks + size_t{i} * ipc::kSiteBlocks);
    }
    loops_.push_back(std::move(entry));
  }
  for (auto& entry : loops_) {
    entry->thread = std::thread([loop = entry->loop.get()] { loop->events().run(); });
  }
  return {};
}

Status Control::activate(std::string_view payload) {
  auto generation = ipc::read_body<uint64_t>(payload);
  if (!generation || pending_ == nullptr || pending_->generation != *generation) {
    return bulkhead::fail("master activates a configuration it did not send");
  }
  if (!all_valid(pending_->listeners) || !all_valid(pending_->pool_listeners)) {
    return bulkhead::fail("master left out a listening socket");
  }
  auto runtime = std::make_shared<Runtime>();
  runtime->generation = pending_->generation;
  runtime->plan = std::move(pending_->plan);
  runtime->listeners = std::move(pending_->listeners);
  runtime->pool_listeners = std::move(pending_->pool_listeners);
  auto logs = std::make_shared<LogSet>();
  logs->files = std::move(pending_->logs);
  pending_.reset();
  publish(std::move(runtime), std::move(logs));
  return {};
}

void Control::publish(std::shared_ptr<const Runtime> runtime, std::shared_ptr<const LogSet> logs) {
  active_ = runtime;
  configured_loops_ = 0;
  for (auto& entry : loops_) {
    ServerLoop* loop = entry->loop.get();
    loop->events().post([this, loop, runtime, logs] {
      loop->activate(runtime, logs);
      post([this, generation = runtime->generation] {
        if (active_->generation != generation || ++configured_loops_ != loops_.size()) return;
        master_->send(ipc::Op::kConfigured, ipc::body_bytes(generation));
      });
    });
  }
}

void Control::loop_settled(size_t index, uint64_t generation) {
  loops_[index]->settled = generation;
  if (quitting_) {
    loops_[index]->empty = true;
    if (std::all_of(loops_.begin(), loops_.end(), [](auto& entry) { return entry->empty; })) {
      events_->stop();
    }
    return;
  }
  uint64_t oldest = generation;
  for (auto& entry : loops_) oldest = std::min(oldest, entry->settled);
  if (active_ == nullptr || oldest != active_->generation || drained_ == oldest) return;
  drained_ = oldest;
  master_->send(ipc::Op::kDrained, ipc::body_bytes(oldest));
}

// ---- sites
// ---------------------------------------------------------------------------------------

Status Control::site_up(std::string_view payload, std::vector<sys::Fd>& fds) {
  auto body = ipc::read_body<ipc::SiteUpBody>(payload);
  if (!body) return bulkhead::fail("a site without its number");
  waking_.erase(body->site);
  size_t loops = loops_.size();
  bool has_ring = fds.size() == 1 + 3 * loops;
  if (body->loops != loops || (!has_ring && fds.size() != loops)) {
    return bulkhead::fail("a site's descriptors do not fit the number of loops");
  }
  for (size_t i = 0; i < loops; ++i) {
    auto ends = std::make_shared<SiteEnds>();
    ends->workers_max = body->workers_max;
    if (has_ring) {
      ends->bell = TRY(sys::duplicate(fds[0]));
      ends->segment = std::move(fds[1 + 3 * i]);
      ends->wake = std::move(fds[2 + 3 * i]);
    }
    ends->channel = std::move(has_ring ? fds[3 + 3 * i] : fds[i]);
    ServerLoop* loop = loops_[i]->loop.get();
    loop->events().post([loop, ends, site = body->site, epoch = body->epoch] {
      loop->sites().on_site_up(site, epoch, std::move(*ends));
    });
  }
  return {};
}

Status Control::site_down(std::string_view payload) {
  auto body = ipc::read_body<ipc::SiteDownBody>(payload);
  if (!body) return bulkhead::fail("a site without its number");
  waking_.erase(body->site);
  for (auto& entry : loops_) {
    ServerLoop* loop = entry->loop.get();
    loop->events().post(
        [loop, down = *body] { loop->sites().on_site_down(down.site, down.epoch, down.reason); });
  }
  return {};
}

void Control::wake(uint32_t site) {
  if (!waking_.insert(site).second) return;
  master_->send(ipc::Op::kWakeSite, ipc::body_bytes(site));
}

void Control::refused(uint32_t site) {
  master_->send(ipc::Op::kSiteRefused, ipc::body_bytes(site));
}

// ---- numbers
// -------------------------------------------------------------------------------------

Status Control::take_counters(std::string_view payload, std::vector<sys::Fd>& fds) {
  auto loops = ipc::read_body<uint32_t>(payload);
  if (!loops || *loops > kLoopsMax || fds.size() != 1 || !loops_.empty()) {
    return bulkhead::fail("memory for counters without its size, or too late");
  }
  shared_.site_blocks = TRY(sys::Mapping::map(fds[0], ipc::counters_bytes(*loops), "the counters"));
  return {};
}

// One question to master for all who ask meanwhile, and its answer also for those who come soon.
void Control::want_metrics() {
  if (metrics_ != nullptr && events_->now() < metrics_until_) {
    for (auto& entry : loops_) {
      ServerLoop* loop = entry->loop.get();
      loop->events().post([loop, file = metrics_] { loop->metrics().answer(file); });
    }
    return;
  }
  if (std::exchange(metrics_asked_, true)) return;
  metrics_ = nullptr;
  master_->send(ipc::Op::kWantMetrics);
}

Status Control::take_metrics(std::vector<sys::Fd>& fds) {
  metrics_asked_ = false;
  metrics_until_ = events_->now() + kMetricsFresh;
  metrics_ = no_metrics(EIO);
  if (!fds.empty()) {
    auto file = std::make_shared<OpenFile>();
    file->exists = true;
    file->type = ipc::FileType::kRegular;
    file->size = TRY(sys::size_of(fds[0]));
    file->fd = std::move(fds[0]);
    metrics_ = std::move(file);
  }
  want_metrics();
  return {};
}

// ---- the end
// -------------------------------------------------------------------------------------

void Control::quit() {
  if (quitting_) return;
  quitting_ = true;
  if (loops_.empty()) {
    events_->stop();
    return;
  }
  if (active_ != nullptr) {
    sys::set_process_title(std::string(title_of(active_->plan->snapshot().role)) +
                           " is shutting down");
  }
  for (auto& entry : loops_) {
    ServerLoop* loop = entry->loop.get();
    loop->events().post([loop] { loop->quit(); });
  }
}

void Control::stop_loops() {
  for (auto& entry : loops_) {
    if (entry->thread.joinable()) entry->loop->events().stop();
  }
  for (auto& entry : loops_) {
    if (entry->thread.joinable()) entry->thread.join();
  }
  loops_.clear();
}

}  // namespace bulkhead::front
