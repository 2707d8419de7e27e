#include "front/server_loop.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace bulkhead::front {

using config::LogLevel;

namespace {
// Idle connections closed at a time when there are too many connections.
constexpr size_t kReuseBatch = 32;

std::string_view level_name(LogLevel level) {
  static constexpr std::string_view kNames[] = {"",     "emerg",  "alert", "crit", "error",
                                                "warn", "notice", "info",  "debug"};
  return kNames[static_cast<size_t>(level) % std::size(kNames)];
}

bool is_same_socket(const sys::Fd& a, const sys::Fd& b) {
  struct stat of_a {
  }, of_b{};
  return ::fstat(a.get(), &of_a) == 0 && ::fstat(b.get(), &of_b) == 0 &&
         of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}
}  // namespace

Result<std::unique_ptr<ServerLoop>> ServerLoop::create(FrontShared& shared, Hooks hooks) {
  auto loop = std::unique_ptr<ServerLoop>(new ServerLoop(shared, std::move(hooks)));
  loop->events_ = TRY(loop::EventLoop::create());
  loop->sites_ = std::make_unique<SiteClient>(
      *loop->events_, SiteClient::Hooks{loop->hooks_.wake, loop->hooks_.refused});
  loop->sites_->count_in(&loop->shares_);
  loop->events_->add_poller(loop->sites_.get());
  loop->files_ = std::make_unique<FileCache>(*loop->events_, *loop->sites_);
  loop->fastcgi_ = std::make_unique<FastcgiClient>(
      *loop->events_,
      [sites = loop->sites_.get()](uint32_t site, std::string_view path, FileCallback done) {
        return sites->connect(site, path, std::move(done));
      });
  loop->pools_ = std::make_unique<FastcgiService>(
      *loop->events_, *loop->sites_,
      [self = loop.get()](LogLevel level, std::string_view text) { self->log_main(level, text); });
  loop->pools_->counters = &loop->shares_.counters();
  loop->pools_->on_empty = [self = loop.get()] {
    if (self->quitting_) self->check_settled();
  };
  loop->spool_pace_ = std::make_unique<SpoolPace>(*loop->events_);
  loop->path_logs_ = std::make_unique<PathLogs>(*loop->events_, *loop->sites_);
  loop->log_shares_ = std::make_unique<LogShares>(
      *loop->events_, shared.loops,
      [self = loop.get()](const LogShares::Place& place, uint64_t lines) {
        self->report_suppressed(place, lines);
      });
  Ambient ambient;
  ambient.loop = loop->events_.get();
  ambient.counters = &shared.counters;
  ambient.pid = shared.pid;
  ambient.hostname = shared.hostname;
  ambient.times = &loop->time_;
  ambient.shares = &loop->shares_;
  loop->metrics_ = std::make_unique<MetricsDesk>(*loop->events_, [self = loop.get()] {
    if (self->hooks_.metrics) self->hooks_.metrics();
  });
  ambient.metrics = loop->metrics_.get();
  loop->phases_ = std::make_unique<Phases>(std::move(ambient), *loop->files_, *loop);
  return loop;
}

ServerLoop::ServerLoop(FrontShared& shared, Hooks hooks)
    : shared_(shared), shares_(shared.shares), hooks_(std::move(hooks)) {}

ServerLoop::~ServerLoop() {
  // Streams and questions go before the clients that serve them.
  listeners_.clear();
  for (auto& connection : connections_) connection->shut();
  turns_.clear();
  pools_.reset();
  fastcgi_.reset();
  path_logs_.reset();
  files_.reset();
  if (sites_ != nullptr) events_->remove_poller(sites_.get());
}

// ---- generations
// ---------------------------------------------------------------------------------

void ServerLoop::activate(std::shared_ptr<const Runtime> runtime,
                          std::shared_ptr<const LogSet> logs) {
  if (current_ != nullptr) {
    current_->logs.flush_all();
    older_.push_back(current_);
  }
  current_ = std::make_shared<LoopGeneration>(*events_, runtime);
  current_->logs.on_loss = [this](std::string_view text) { log_main(LogLevel::kAlert, text); };
  current_->logs.set_files(std::move(logs));
  files_->clear();
  path_logs_->clear();
  const uint64_t connections = runtime->plan->model().worker_connections;
  sites_->limit_waiting(static_cast<uint32_t>(connections / 2));
  const config::Snapshot& snapshot = runtime->plan->snapshot();
  shared_.shares.configure(snapshot, connections * snapshot.loops);
  update_listeners(*runtime);
  update_pools(*runtime);
  check_settled();
}

void ServerLoop::set_logs(std::shared_ptr<const LogSet> logs) {
  if (current_ != nullptr) current_->logs.set_files(std::move(logs));
  path_logs_->clear();
}

void ServerLoop::update_listeners(const Runtime& runtime) {
  const config::Model& model = runtime.plan->model();
  for (auto& [text, listener] : listeners_) listener->index = config::kNone;
  for (size_t i = 0; i < model.listens.size() && i < runtime.listeners.size(); ++i) {
    const std::string& text = model.listens[i].text;
    auto& slot = listeners_[text];
    if (slot == nullptr || !is_same_socket(*slot->socket(), *runtime.listeners[i])) {
      slot = std::make_shared<Listener>(
          *events_, runtime.listeners[i], text,
          [this](Listener& on, sys::Accepted accepted) { on_accept(on, std::move(accepted)); });
      if (Status started = slot->start(); !started) {
        log_main(LogLevel::kAlert, started.error().describe());
      }
    }
    slot->index = static_cast<uint32_t>(i);
    slot->multi_accept = model.multi_accept;
  }
  std::erase_if(listeners_, [](auto& entry) {
    if (entry.second->index != config::kNone) return false;
    entry.second->stop();
    return true;
  });
  for (Connection* c = idle_first_; c != nullptr;) {
    Connection* next = c->idle_after;
    if (c->listener()->index == config::kNone) c->close_idle();
    c = next;
  }
}

void ServerLoop::update_pools(const Runtime& runtime) {
  const config::Snapshot& snapshot = runtime.plan->snapshot();
  std::unordered_map<uint32_t, const config::Site*> by_id;
  for (const config::Site& site : snapshot.sites) by_id.emplace(site.id, &site);
  std::vector<PoolSocket> sockets;
  for (size_t i = 0; i < runtime.pool_listeners.size(); ++i) {
    uint32_t id = snapshot.pool_listen_sites[i];
    auto found = by_id.find(id);
    if (found == by_id.end()) continue;
    const config::Site* site = found->second;
    PoolSocket socket;
    socket.site = id;
    socket.text = site->listen;
    socket.socket = runtime.pool_listeners[i];
    socket.allowed_clients = site->allowed_clients;
    socket.max_children = site->max_children;
    sockets.push_back(std::move(socket));
  }
  pools_->update(std::move(sockets));
  fastcgi_->close_idle();
}

bool ServerLoop::settled() const {
  if (quitting_) return open_ == 0 && pools_->open() == 0;
  return std::all_of(older_.begin(), older_.end(), [](const auto& g) { return g.expired(); });
}

void ServerLoop::check_settled() {
  if (!settled()) return;
  older_.clear();
  if (hooks_.settled && current_ != nullptr) hooks_.settled(current_->runtime->generation);
}

void ServerLoop::quit() {
  if (quitting_) return;
  quitting_ = true;
  for (auto& [text, listener] : listeners_) listener->stop();
  pools_->quit();
  fastcgi_->close_idle();
  for (Connection* c = idle_first_; c != nullptr;) {
    Connection* next = c->idle_after;
    c->finish_idle();
    c = next;
  }
  if (current_ != nullptr) current_->logs.flush_all();
  check_settled();
}

// ---- connections
// -----------------------------------------------------------------------------------

const config::Server& ServerLoop::default_server(const Listener& listener) const {
  const Plan& plan = *current_->runtime->plan;
  return *plan.server(plan.names(listener.index).default_server()).source;
}

void ServerLoop::accept_failed(Listener& listener, int error) {
  bool exhausted = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  log_main(exhausted ? LogLevel::kCrit : LogLevel::kAlert,
           Error{"accept4() failed", error}.describe());
  if (!exhausted) return;
  files_->clear();
  fastcgi_->close_idle();
  (void)make_room();
  listener.rest();
}

bool ServerLoop::make_room() {
  // The ones idle longest, an eighth of all: what was accepted a moment ago has a request coming.
  size_t wanted = std::clamp<size_t>(idle_ / 8, 1, kReuseBatch);
  size_t closed = 0;
  for (; idle_first_ != nullptr && closed < wanted; ++closed) idle_first_->close_idle();
  return closed > 0;
}

void ServerLoop::on_accept(Listener& listener, sys::Accepted accepted) {
  if (accepted.error != 0) {
    accept_failed(listener, accepted.error);
    return;
  }
  if (quitting_ || current_ == nullptr) return;
  shared_.counters.accepted.fetch_add(1, std::memory_order_relaxed);
  uint32_t limit = current_->runtime->plan->model().worker_connections;
  if (open_ >= limit && !make_room()) {
    log_main(LogLevel::kAlert, std::to_string(limit) + " worker_connections are not enough");
    return;
  }
  shared_.counters.handled.fetch_add(1, std::memory_order_relaxed);
  auto found = listeners_.find(listener.text);
  if (found == listeners_.end()) return;
  ++open_;
  uint64_t serial = shared_.next_serial.fetch_add(1, std::memory_order_relaxed);
  take_connection()->open(std::move(accepted.fd), accepted.peer, found->second, serial);
}

Connection* ServerLoop::take_connection() {
  if (free_connections_.empty()) {
    connections_.push_back(std::make_unique<Connection>(*this));
    return connections_.back().get();
  }
  Connection* connection = free_connections_.back();
  free_connections_.pop_back();
  return connection;
}

void ServerLoop::retire(Connection& connection) {
  connection.mark_free();
  free_connections_.push_back(&connection);
  --open_;
  if (quitting_) check_settled();
}

void ServerLoop::note_idle(Connection& connection) {
  connection.idle_before = idle_last_;
  connection.idle_after = nullptr;
  (idle_last_ == nullptr ? idle_first_ : idle_last_->idle_after) = &connection;
  idle_last_ = &connection;
  ++idle_;
}

void ServerLoop::note_busy(Connection& connection) {
  Connection* before = connection.idle_before;
  Connection* after = connection.idle_after;
  (before == nullptr ? idle_first_ : before->idle_after) = after;
  (after == nullptr ? idle_last_ : after->idle_before) = before;
  connection.idle_before = connection.idle_after = nullptr;
  --idle_;
}

Turn* ServerLoop::take_turn() {
  if (free_turns_.empty()) {
    turns_.push_back(std::make_unique<Turn>(*this));
    return turns_.back().get();
  }
  Turn* turn = free_turns_.back();
  free_turns_.pop_back();
  return turn;
}

void ServerLoop::give_turn(Turn* turn) {
  turn->reset();
  free_turns_.push_back(turn);
  if (!older_.empty()) check_settled();
}

// ---- applications and spool files
// ----------------------------------------------------------------

uint32_t ServerLoop::spool_site(const Exchange& ex) const {
  if (ex.target.kind == AppTarget::Kind::kSite) return ex.target.site;
  return ex.server != nullptr ? ex.server->opener : 0;
}

std::string ServerLoop::spool_name(const std::string& directory, SpoolName kind) {
  char digits[16];
  uint64_t number = shared_.next_spool.fetch_add(1, std::memory_order_relaxed) % 10'000'000'000;
  ::snprintf(digits, sizeof digits, "%010llu", static_cast<unsigned long long>(number));
  std::string name(digits);
  if (kind == SpoolName::kBody) {
    return (directory.empty() ? "/var/lib/nginx/body" : directory) + "/" + name;
  }
  return (directory.empty() ? "/var/lib/nginx/fastcgi" : directory) + "/" + name.substr(9, 1) +
         "/" + name.substr(7, 2) + "/" + name;
}

// ---- logs
// ------------------------------------------------------------------------------------------

std::string_view ServerLoop::error_log_time() {
  time_.update(events_->wall_seconds());
  return time_.error_log();
}

std::string ServerLoop::line_head(LogLevel level) {
  std::string line(error_log_time());
  line.append(" [").append(level_name(level)).append("] ").append(std::to_string(shared_.pid));
  line.append("#").append(std::to_string(::gettid())).append(": ");
  return line;
}

void ServerLoop::log_connection(const ConnectionFacts& facts, const Listener& listener,
                                LogLevel level, std::string_view text, int errno_value) {
  if (current_ == nullptr || listener.index == config::kNone) return;
  const config::LocConf& conf = default_server(listener).root->conf;
  if (!LogBook::wants(conf.error_logs, level)) return;
  std::string line = line_head(level);
  line.append("*").append(std::to_string(facts.serial)).append(" ");
  line.append(Error{std::string(text), errno_value}.describe());
  // As nginx: what happens to a connection kept alive is logged without its surroundings.
  if (facts.requests == 0) {
    line.append(" while waiting for request, client: ").append(facts.peer);
    line.append(", server: ").append(listener.text);
  }
  line.append("\n");
  current_->logs.error(conf.error_logs, level, line);
}

void ServerLoop::log_main(LogLevel level, std::string_view text) {
  if (current_ == nullptr) return;
  const auto& targets = current_->runtime->plan->model().error_logs;
  if (!LogBook::wants(targets, level)) return;
  std::string line = line_head(level);
  line.append(text).append("\n");
  current_->logs.error(targets, level, line);
}

}  // namespace bulkhead::front
