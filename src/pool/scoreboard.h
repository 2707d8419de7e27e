// What a pool and its workers know of each other: one record per worker, in memory of this site.
//
// Runs in: pool (reads), worker (writes its own record).  Input: the site's own scripts could
// reach this memory, so readers bound every string and use nothing of it for decisions about
// other sites.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "config/pool_config.h"
#include "php/cache_lock.h"
#include "php/pool_status.h"

namespace bulkhead::pool {

enum class Stage : uint32_t { kAccepting, kReadingHeaders, kInfo, kExecuting, kEnd, kFinished };
[[nodiscard]] const char* stage_name(Stage stage);

struct WorkerRecord {
  std::atomic<uint32_t> used;  // the worker's pid, as its pool sees it; 0: free
  std::atomic<Stage> stage;
  std::atomic<int32_t> uses_cache;  // php/cache_lock.h: its own pid as its siblings see it, or 0
  std::atomic<uint64_t> requests;
  int64_t start_epoch;
  int64_t accepted_us, last_us;  // monotonic clock
  int64_t accepted_epoch;
  uint64_t duration_us, cpu_us, cpu_user_us;
  uint64_t memory_bytes, content_length;
  char uri[128], method[16], script[256], query[512], user[32];
};
// Monotonic microseconds.
[[nodiscard]] int64_t now_us();

class Scoreboard {
 public:
  // `workers` records; workers inherit the memory by fork.
  static Result<std::unique_ptr<Scoreboard>> create(uint32_t workers);

  [[nodiscard]] WorkerRecord& record(uint32_t worker) { return table_->records[worker]; }
  [[nodiscard]] const WorkerRecord& record(uint32_t worker) const {
    return table_->records[worker];
  }
  [[nodiscard]] uint32_t size() const { return workers_; }

  // Pool: a worker came or went.
  void take(uint32_t worker, int64_t start_epoch);
  void release(uint32_t worker);
  // Worker: a request begins, or the worker is idle again.
  void begin_request(WorkerRecord& record);
  void end_request(WorkerRecord& record);

  void count_max_children() { ++table_->max_children_reached; }
  [[nodiscard]] uint64_t accepted() const { return table_->accepted; }
  [[nodiscard]] bool is_idle(uint32_t worker) const {
    return record(worker).stage == Stage::kAccepting;
  }
  // For PHP in `worker`: who of its siblings uses cached scripts.
  [[nodiscard]] php::CacheUsers cache_users(uint32_t worker, int lock_file) const {
    return {lock_file, &table_->records[0].uses_cache, sizeof(WorkerRecord), workers_, worker};
  }
  // Everything the status page shows, but the queue's numbers.
  [[nodiscard]] php::PoolStatus snapshot(const config::PoolConfig& config) const;

 private:
  struct Table {
    std::atomic<uint64_t> accepted, max_children_reached;
    std::atomic<int32_t> active, active_max;
    std::atomic<uint32_t> used_max;  // records from here on were never used
    WorkerRecord records[1];
  };
  Scoreboard(Table* table, uint32_t workers, int64_t start_epoch)
      : table_(table), workers_(workers), start_epoch_(start_epoch) {}
  Table* table_;  // lives as long as the process
  uint32_t workers_;
  int64_t start_epoch_;
};

// Bounded copy that always ends in NUL.
template <size_t kSize>
void copy_text(char (&to)[kSize], const char* from) {
  size_t i = 0;
  for (; i + 1 < kSize && from[i] != '\0'; ++i) to[i] = from[i];
  to[i] = '\0';
}
// The text of a record, however damaged.
template <size_t kSize>
[[nodiscard]] std::string text_of(const char (&from)[kSize]) {
  size_t size = 0;
  while (size < kSize && from[size] != '\0') ++size;
  return {from, size};
}

}  // namespace bulkhead::pool
