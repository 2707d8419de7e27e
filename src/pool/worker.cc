// See worker.h.
#include "pool/worker.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "php/cpu_timer.h"
#include "php/engine.h"
#include "pool/status_page.h"
#include "sys/files.h"
#include "sys/stream_io.h"
#include "sys/turn_length.h"

namespace bulkhead::pool {
namespace {

constexpr std::chrono::microseconds kSpin{150};
constexpr size_t kProgressBytes = 8192;  // php-fpm lets a client see output in steps of this

// For the signal handler: one worker per process.
std::atomic<bool> g_stop{false};
ring::WorkerRing* g_ring = nullptr;
uint32_t g_index = 0;

void on_quit(int) {
  const int kept = errno;
  g_stop = true;
  g_ring->interrupt(g_index);
  errno = kept;
}

uint64_t user_cpu_now_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_utime.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(usage.ru_utime.tv_usec);
}

// A slot of the ring as PHP sees it.
class RingSource final : public php::RequestSource {
 public:
  RingSource(ring::WorkerRing& ring, WorkerRecord& record) : ring_(ring), record_(record) {}

  void load() {
    params_.clear();
    written_ = 0;
    std::string_view name, value;
    ring::RequestView& request = ring_.request();
    while (request.next(name, value)) {
      params_.push_back({name.data(), static_cast<uint32_t>(name.size()), value.data(),
                         static_cast<uint32_t>(value.size())});
    }
  }
  std::span<const php::Param> params() const noexcept override { return params_; }
  bool is_authorizer() const noexcept override {
    return (ring_.request().flags() & ring::kFlagAuthorizer) != 0;
  }
  size_t read_body(char* to, size_t size) noexcept override {
    const ssize_t n = ring_.read_body({to, size}, std::chrono::milliseconds(-1));
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  bool write_head(std::string_view block) noexcept override {
    return ring_.write_frame(ring::Frame::kHead, block);
  }
  bool write_body(std::string_view bytes) noexcept override {
    if (!ring_.write_frame(ring::Frame::kBody, bytes)) return false;
    written_ += bytes.size();
    if (written_ >= kProgressBytes) {
      written_ = 0;
      ring_.publish();
    }
    return true;
  }
  bool write_stderr(std::string_view text) noexcept override {
    return ring_.write_frame(ring::Frame::kStderr, text);
  }
  bool flush() noexcept override { return ring_.flush(); }
  void finish(const php::Usage& usage, php::Finish when) noexcept override {
    ring_.end({usage.app_status, usage.cpu_us, usage.memory_peak});
    if (when == php::Finish::kAtEnd) return;  // done() publishes
    ring_.publish();
    record_.stage = Stage::kFinished;
  }

 private:
  ring::WorkerRing& ring_;
  WorkerRecord& record_;
  std::vector<php::Param> params_;
  size_t written_ = 0;
};

class Worker final : public php::RequestHooks {
 public:
  explicit Worker(const WorkerContext& context)
      : context_(context),
        record_(context.scoreboard.record(context.index)),
        source_(context.ring, record_),
        wants_user_cpu_(context.access_format && context.access_format->uses_cpu()) {}

  int run();

 private:
  bool serve_one();
  void log_access(int status);

  void on_info(const php::RequestView& view) noexcept override;
  bool answer(const php::RequestView& view, php::Answer* answer) noexcept override;
  void on_executing() noexcept override {
    record_.stage.store(Stage::kExecuting, std::memory_order_relaxed);
  }
  void on_end(int http_status, uint64_t memory_peak) noexcept override;
  uint32_t cpu_us() noexcept override {
    return static_cast<uint32_t>(php::cpu_time_us() - cpu_start_us_);
  }
  bool status(php::PoolStatus* status) noexcept override;

  const WorkerContext& context_;
  WorkerRecord& record_;
  RingSource source_;
  bool wants_user_cpu_;
  uint64_t cpu_start_us_ = 0, user_cpu_start_us_ = 0;
};

int Worker::run() {
  const int limit = context_.config.max_requests;
  for (int served = 0; limit <= 0 || served < limit; ++served) {
    const auto wait = context_.ring.wait_for_request(context_.index, kSpin,
                                                     std::chrono::milliseconds(-1), g_stop);
    if (wait == ring::Wait::kStopped) return 0;
    if (wait == ring::Wait::kTimeout) continue;
    if (!serve_one()) return 70;
  }
  return 0;
}

bool Worker::serve_one() {
  context_.scoreboard.begin_request(record_);
  cpu_start_us_ = php::cpu_time_us();
  if (wants_user_cpu_) user_cpu_start_us_ = user_cpu_now_us();
  bool ok = true;
  if (!context_.ring.malformed()) {
    source_.load();
    ok = php::serve(source_, *this) == php::Served::kDone;
  }
  context_.ring.done();
  context_.scoreboard.end_request(record_);
  return ok;
}

void Worker::on_info(const php::RequestView& view) noexcept {
  record_.stage.store(Stage::kInfo, std::memory_order_relaxed);
  copy_text(record_.uri, view.uri);
  copy_text(record_.method, view.method);
  copy_text(record_.query, view.query);
  copy_text(record_.user, view.user);
  copy_text(record_.script, view.script);
  record_.content_length = static_cast<uint64_t>(view.content_length);
}

bool Worker::status(php::PoolStatus* status) noexcept {
  *status = context_.scoreboard.snapshot(context_.config);
  status->queue = context_.ring.queue_length();
  status->queue_max = context_.ring.queue_max();
  status->queue_size = static_cast<uint64_t>(std::max(context_.config.listen_backlog, 0));
  return true;
}

bool Worker::answer(const php::RequestView& view, php::Answer* answer) noexcept {
  const config::PoolConfig& config = context_.config;
  if (*view.uri == '\0') return false;
  if (!config.ping_path.empty() && config.ping_path == view.uri) {
    *answer = ping_answer(config.ping_response);
    return true;
  }
  if (config.status_path.empty() || config.status_path != view.uri) return false;
  on_executing();
  php::PoolStatus now;
  status(&now);
  *answer = status_answer(now, parse_status_query(view.query), strcmp(view.method, "HEAD") == 0);
  return true;
}

void Worker::on_end(int http_status, uint64_t memory_peak) noexcept {
  record_.duration_us = static_cast<uint64_t>(now_us() - record_.accepted_us);
  record_.cpu_us = php::cpu_time_us() - cpu_start_us_;
  if (wants_user_cpu_) record_.cpu_user_us = user_cpu_now_us() - user_cpu_start_us_;
  record_.memory_bytes = memory_peak;
  record_.stage.store(Stage::kFinished, std::memory_order_relaxed);
  log_access(http_status);
}

void Worker::log_access(int status) {
  if (!context_.access_format || !context_.access_log.valid() ||
      is_suppressed(context_.config.access_suppress_paths, record_, status)) {
    return;
  }
  AccessValues values;
  values.status = status;
  values.pool = context_.config.name.c_str();
  values.pid = context_.pid;
  values.parent_pid = context_.pool_pid;
  values.peer = sys::print_ip(context_.ring.request().peer());
  values.param = [](std::string_view name) { return php::request_param(name); };
  values.header = [](std::string_view name) { return php::response_header(name); };
  sys::write_all(context_.access_log, context_.access_format->line(record_, values));
}

// Lines that php-fpm's children write to their standard error when the pool catches it.
void write_to_caught_stderr(php::LogLevel level, std::string_view text, void*) {
  static constexpr const char* kNames[] = {"", "DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"};
  std::string line = kNames[static_cast<size_t>(level)];
  line.append(": ").append(text).append("\n");
  sys::write_all(sys::FdRef(STDERR_FILENO), line);
}

void drop_line(php::LogLevel, std::string_view, void*) {}

}  // namespace

int run_worker(const WorkerContext& context) {
  g_ring = &context.ring;
  g_index = context.index;
  context.scoreboard.record(context.index).used = static_cast<uint32_t>(context.pid);
  struct sigaction quit = {};
  quit.sa_handler = on_quit;
  sigaction(SIGQUIT, &quit, nullptr);
  signal(SIGPIPE, SIG_IGN);
  php::set_log_sink(context.output_is_caught ? write_to_caught_stderr : drop_line, nullptr);
  // A worker that wakes for a request does not wait behind a neighbour that computes; programs
  // that scripts start have no such claim.  A refusal costs only time.
  (void)sys::set_turn_length(sys::kAnsweringTurn, sys::Heirs::kUsual);
  // After the signals: PHP remembers whose they are.
  php::enter_worker(context.scoreboard.cache_users(context.index, context.cache_lock.get()));
  const int code = Worker(context).run();
  php::stop();
  return code;
}

}  // namespace bulkhead::pool
