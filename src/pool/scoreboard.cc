// See scoreboard.h.
#include "pool/scoreboard.h"

#include <algorithm>
#include <ctime>

#include "sys/private_memory.h"

namespace bulkhead::pool {

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::kAccepting:
      return "Idle";
    case Stage::kReadingHeaders:
      return "Reading headers";
    case Stage::kInfo:
      return "Getting request information";
    case Stage::kExecuting:
      return "Running";
    case Stage::kEnd:
      return "Ending";
    case Stage::kFinished:
      return "Finishing";
  }
  return "Idle";
}

int64_t now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}

Result<std::unique_ptr<Scoreboard>> Scoreboard::create(uint32_t workers) {
  void* memory = sys::allocate_shared(sizeof(Table) + workers * sizeof(WorkerRecord));
  if (memory == nullptr) return fail_errno("no memory for the scoreboard");
  return std::unique_ptr<Scoreboard>(
      new Scoreboard(static_cast<Table*>(memory), workers, time(nullptr)));
}

void Scoreboard::take(uint32_t worker, int64_t start_epoch) {
  WorkerRecord& r = record(worker);
  if (table_->used_max <= worker) table_->used_max = worker + 1;
  r.stage = Stage::kAccepting;
  r.requests = 0;
  r.start_epoch = start_epoch;
  r.accepted_us = r.accepted_epoch = 0;
  r.last_us = now_us();
  r.duration_us = r.cpu_us = r.cpu_user_us = r.memory_bytes = r.content_length = 0;
  r.uri[0] = r.method[0] = r.script[0] = r.query[0] = r.user[0] = '\0';
}

void Scoreboard::release(uint32_t worker) {
  WorkerRecord& r = record(worker);
  if (r.stage != Stage::kAccepting) --table_->active;
  r.stage = Stage::kAccepting;
  r.uses_cache = 0;
  r.used = 0;
}

void Scoreboard::begin_request(WorkerRecord& r) {
  r.accepted_us = r.last_us = now_us();
  r.accepted_epoch = time(nullptr);
  r.uri[0] = r.method[0] = r.script[0] = r.query[0] = r.user[0] = '\0';
  r.content_length = 0;
  r.requests.store(r.requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  r.stage.store(Stage::kReadingHeaders, std::memory_order_relaxed);
  ++table_->accepted;
  const int32_t active = ++table_->active;
  int32_t most = table_->active_max;
  while (active > most && !table_->active_max.compare_exchange_weak(most, active)) {
  }
}

void Scoreboard::end_request(WorkerRecord& r) {
  r.last_us = now_us();
  r.stage.store(Stage::kAccepting, std::memory_order_relaxed);
  --table_->active;
}

namespace {

php::WorkerStatus worker_status(const WorkerRecord& r, int64_t now) {
  php::WorkerStatus w;
  const Stage stage = r.stage;
  const bool idle = stage == Stage::kAccepting;
  w.pid = static_cast<int>(r.used.load());
  w.state = stage_name(stage);
  w.start_epoch = r.start_epoch;
  w.requests = r.requests;
  w.duration_us = idle ? r.duration_us : static_cast<uint64_t>(now - r.accepted_us);
  w.method = text_of(r.method);
  w.uri = text_of(r.uri);
  w.query = text_of(r.query);
  w.user = text_of(r.user);
  w.script = text_of(r.script);
  w.content_length = r.content_length;
  if (idle) {
    w.memory_bytes = r.memory_bytes;
    if (r.duration_us > 0) {
      w.cpu_percent = 100.0 * static_cast<double>(r.cpu_us) / static_cast<double>(r.duration_us);
    }
  }
  return w;
}

const char* manager_name(config::Pm pm) {
  return pm == config::Pm::kStatic ? "static" : pm == config::Pm::kDynamic ? "dynamic" : "ondemand";
}

}  // namespace

php::PoolStatus Scoreboard::snapshot(const config::PoolConfig& config) const {
  php::PoolStatus s;
  s.pool = config.name;
  s.manager = manager_name(config.pm);
  s.now_epoch = time(nullptr);
  s.start_epoch = start_epoch_;
  s.accepted = table_->accepted;
  s.max_children_reached = table_->max_children_reached;
  const int64_t now = now_us();
  const uint32_t end = std::min(table_->used_max.load(), workers_);
  for (uint32_t i = 0; i < end; ++i) {
    const WorkerRecord& r = record(i);
    if (r.used == 0) continue;
    ++(r.stage == Stage::kAccepting ? s.idle : s.active);
    s.workers.push_back(worker_status(r, now));
  }
  s.active_max = static_cast<uint64_t>(std::max(table_->active_max.load(), 0));
  return s;
}

}  // namespace bulkhead::pool
