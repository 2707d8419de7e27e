// A pool's counters at one moment, as values: what the status page and fpm_get_status() show.
//
// Runs in: worker.  Input: the site's scoreboard (written by its own workers).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::php {

struct WorkerStatus {
  int pid = 0;
  std::string state;  // "Idle", "Running", ...
  int64_t start_epoch = 0;
  uint64_t requests = 0;
  uint64_t duration_us = 0;
  std::string method, uri, query, user, script;
  uint64_t content_length = 0;
  double cpu_percent = 0;  // of the last request; 0 while one runs
  uint64_t memory_bytes = 0;
};
struct PoolStatus {
  std::string pool, manager;  // "static", "dynamic", "ondemand"
  int64_t now_epoch = 0, start_epoch = 0;
  uint64_t accepted = 0;
  uint64_t queue = 0, queue_max = 0, queue_size = 0;
  uint64_t idle = 0, active = 0, active_max = 0;
  uint64_t max_children_reached = 0, slow_requests = 0;
  std::vector<WorkerStatus> workers;
};

}  // namespace bulkhead::php
