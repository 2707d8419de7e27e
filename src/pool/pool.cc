// See pool.h: the loop, master's messages and the decisions that follow.
#include "pool/pool.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "pool/config_memory.h"
#include "sys/host_pid.h"
#include "sys/stream_io.h"

namespace bulkhead::pool {
namespace {

// php-fpm looks at running requests three times per timeout, at most every 130 ms.
loop::Millis heartbeat_of(int timeout_s) {
  return loop::Millis(std::max<int64_t>(130, int64_t{timeout_s} * 1000 / 3));
}

}  // namespace

Pool::Pool(Setup setup)
    : config_(std::move(setup.config)),
      log_(*setup.log),
      ring_(std::move(setup.ring)),
      channels_(std::move(setup.channels)),
      master_socket_(std::move(setup.master)),
      access_log_(std::move(setup.access_log)),
      self_link_(std::move(setup.self_link)),
      own_pid_(getpid()),
      host_pid_(sys::host_pid(self_link_)),
      kept_by_workers_(std::move(setup.kept_by_workers)),
      cache_lock_(setup.cache_lock),
      pm_(config_) {}

Pool::~Pool() {
  if (loop_ && signals_.fd().valid()) loop_->remove(signals_.fd(), this);
}

Result<std::unique_ptr<Pool>> Pool::create(Setup setup) {
  std::unique_ptr<Pool> pool(new Pool(std::move(setup)));
  TRY_STATUS(pool->start());
  return pool;
}

Status Pool::start() {
  if (!config_.access_log.empty() && access_log_.valid()) {
    access_format_ = TRY(AccessFormat::parse(config_.access_format));
  }
  scoreboard_ = TRY(Scoreboard::create(ring::kWorkersMax));
  signals_ = TRY(sys::SignalSource::create({SIGCHLD, SIGTERM, SIGINT, SIGQUIT}));
  loop_ = TRY(loop::EventLoop::create());
  TRY_STATUS(loop_->add(signals_.fd(), EPOLLIN, this));
  sys::set_nonblocking(master_socket_);
  for (const sys::Fd& channel : channels_) sys::set_nonblocking(channel);
  master_ = TRY(ipc::Channel::create(
      *loop_, std::move(master_socket_), ipc::Role::kMaster, ipc::Phase::kServing,
      [this](ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
        on_message(op, payload, fds);
      },
      // Without master nobody would ever stop us; workers die with us (PDEATHSIG).
      [](const std::string&) { _exit(0); }));
  log_.set_send([this](std::string_view payload) { master_->send(ipc::Op::kLog, payload); });
  log_.flush_waiting();
  opener_ = TRY(opener::Opener::create(*loop_, std::move(channels_),
                                       {.spawn = [this] { check_requests(); }, .closed = [] {}}));
  commands_ = std::make_unique<exec::Sessions>(*loop_, config_.env, [this] { finish_if_empty(); });
  maintenance_ = std::make_unique<loop::Timer>([this] { maintain(); });
  recheck_ = std::make_unique<loop::Timer>([this] { check_requests(); });
  respawn_ = std::make_unique<loop::Timer>([this] {
    if (state_ == State::kRunning && children_.empty()) fork_workers(1, config::FpmLevel::kNotice);
  });
  stop_timer_ = std::make_unique<loop::Timer>([this] { drain(); });
  heartbeat_ = std::make_unique<loop::Timer>([this] { check_request_timeouts(); });
  return {};
}

int Pool::run() {
  busy_us_ = now_us();
  fork_workers(pm_.at_start(), config::FpmLevel::kDebug);
  check_requests();
  master_->send(ipc::Op::kReady);
  maintenance_->arm(*loop_, kMaintenance);
  if (config_.request_terminate_timeout_s > 0) {
    heartbeat_->arm(*loop_, heartbeat_of(config_.request_terminate_timeout_s));
  }
  loop_->run();
  return 0;
}

// The first process of a pid namespace is told to end by master or an administrator, whose numbers
// are none in here (0); whoever has one is the site itself.
bool Pool::is_from_outside(const sys::Signal& signal) const {
  return getpid() != 1 || signal.sender == 0;
}

void Pool::on_ready(uint32_t) {
  bool child_ended = false;
  while (const auto signal = signals_.next()) {
    if (signal->number != SIGCHLD && !is_from_outside(*signal)) continue;
    switch (signal->number) {
      case SIGCHLD:
        child_ended = true;
        break;
      case SIGQUIT:
        stop_gracefully();
        break;
      case SIGTERM:
        stop_fast();
        break;
      default:
        break;  // SIGINT from a terminal is master's to handle
    }
  }
  if (child_ended) reap();
}

void Pool::on_message(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
  switch (op) {
    case ipc::Op::kStop:
      if (!payload.empty() && payload[0] == 1) {
        stop_gracefully();
      } else {
        stop_fast();
      }
      break;
    case ipc::Op::kReopen:
      if (!fds.empty()) reopen(std::move(fds[0]));
      break;
    case ipc::Op::kResize:
      if (!fds.empty()) resize(fds[0]);
      break;
    case ipc::Op::kExec:
      if (!fds.empty()) commands_->begin(std::move(fds[0]));
      break;
    default:
      break;
  }
}

Census Pool::census() const {
  Census c;
  int64_t first_started = 0, last_active = 0;
  for (const auto& child : children_) {
    ++c.running;
    if (!scoreboard_->is_idle(child->index)) {
      ++c.active;
      continue;
    }
    if (child->told_to_quit) continue;
    ++c.idle;
    if (first_started == 0 || child->started_us < first_started) {
      first_started = child->started_us;
      last_active = scoreboard_->record(child->index).last_us;
    }
  }
  if (first_started != 0) c.oldest_idle_for_s = (now_us() - last_active) / 1'000'000;
  c.pending = ring_->pending();
  return c;
}

void Pool::apply(const Decision& d) {
  for (const std::string& warning : d.warnings) log_.line(config::FpmLevel::kWarning, warning);
  if (d.count_max_children) scoreboard_->count_max_children();
  if (d.quit_oldest_idle) quit_oldest_idle();
  fork_workers(d.fork, config::FpmLevel::kDebug);
}

void Pool::maintain() {
  maintenance_->arm(*loop_, kMaintenance);
  reap();  // in case a signal was merged
  if (state_ != State::kRunning) return;
  if (!respawn_->armed()) apply(pm_.maintain(census()));
  check_requests();
  check_idle_site();
}

void Pool::check_requests() {
  if (state_ != State::kRunning || config_.pm != config::Pm::kOndemand || respawn_->armed()) return;
  const Census now = census();
  apply(pm_.on_request(now));
  const bool can_grow = now.running < static_cast<uint32_t>(std::max(config_.max_children, 1));
  if (!ring_->arm_doorbell() && can_grow) recheck_->arm(*loop_, kRecheck);
}

void Pool::check_idle_site() {
  if (config_.idle_timeout_s <= 0) return;
  const int64_t now = now_us();
  const Census c = census();
  const bool opening = loop_->now() - opener_->last_active() < kMaintenance;
  if (c.active > 0 || c.pending > 0 || opening || commands_->busy() ||
      scoreboard_->accepted() != accepted_seen_) {
    accepted_seen_ = scoreboard_->accepted();
    busy_us_ = now;
    idle_told_ = false;
  } else if (!idle_told_ && now - busy_us_ >= int64_t{config_.idle_timeout_s} * 1'000'000) {
    idle_told_ = true;
    master_->send(ipc::Op::kIdle);
  }
}

void Pool::resize(sys::FdRef memory) {
  auto fresh = read_config(memory);
  if (!fresh) {
    log_.line(config::FpmLevel::kError, "new settings are unreadable: " + fresh.error().describe());
    return;
  }
  config_.pm = fresh->pm;
  config_.max_children = fresh->max_children;
  config_.start_servers = fresh->start_servers;
  config_.min_spare_servers = fresh->min_spare_servers;
  config_.max_spare_servers = fresh->max_spare_servers;
  config_.max_spawn_rate = fresh->max_spawn_rate;
  config_.process_idle_timeout_s = fresh->process_idle_timeout_s;
  config_.idle_timeout_s = fresh->idle_timeout_s;
  pm_.configure(config_);
  if (config_.pm != config::Pm::kOndemand) ring_->disarm_doorbell();
  maintain();
}

// Workers hold the old log open: they finish and are replaced, as in php-fpm.
void Pool::reopen(sys::Fd access_log) {
  access_log_ = std::move(access_log);
  signal_all(SIGQUIT);
}

void Pool::stop_gracefully() {
  if (state_ != State::kRunning) return;
  state_ = State::kDraining;
  drain_until_us_ = now_us() + std::chrono::microseconds(kDrainMax).count();
  commands_->finish();
  drain();
}

// Requests that front has already handed over are served before workers are told to quit.
void Pool::drain() {
  if (state_ == State::kStopping) {
    signal_all(SIGKILL);
    stop_timer_->arm(*loop_, kKillAfter);
    return;
  }
  if (ring_->pending() > 0 && now_us() < drain_until_us_) {
    if (children_.empty()) fork_workers(1, config::FpmLevel::kDebug);
    stop_timer_->arm(*loop_, kRecheck);
    return;
  }
  signal_all(SIGQUIT);
  finish_if_empty();
}

void Pool::stop_fast() {
  if (state_ == State::kStopping) return;
  state_ = State::kStopping;
  signal_all(SIGTERM);
  commands_->end_now();
  stop_timer_->arm(*loop_, kKillAfter);
  finish_if_empty();
}

void Pool::finish_if_empty() {
  const bool empty = children_.empty() && !commands_->busy();
  if (state_ != State::kRunning && empty && ring_->pending() == 0) loop_->stop();
  if (state_ == State::kStopping && empty) loop_->stop();
  // A request that came while the last workers were leaving still gets one.
  if (state_ == State::kDraining && children_.empty() && ring_->pending() > 0) drain();
}

}  // namespace bulkhead::pool
