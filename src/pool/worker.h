// One worker: takes requests from the site's ring and runs PHP, one at a time.
//
// Runs in: worker, forked from its pool (as the site's user).  Input: requests from front; scripts
// are hostile by definition.
#pragma once

#include <optional>

#include "config/pool_config.h"
#include "pool/access_log.h"
#include "pool/scoreboard.h"
#include "ring/worker_ring.h"
#include "sys/fd.h"

namespace bulkhead::pool {

// Everything a worker keeps of its pool.  The referenced objects outlive it.
struct WorkerContext {
  const config::PoolConfig& config;
  ring::WorkerRing& ring;
  Scoreboard& scoreboard;
  const std::optional<AccessFormat>& access_format;
  sys::FdRef access_log;
  sys::FdRef cache_lock;  // opcache's lock file; may be invalid
  uint32_t index = 0;
  bool output_is_caught = false;  // standard error leads to the pool's log
  pid_t pid = 0, pool_pid = 0;    // ours and our pool's, as the machine numbers them
};

// Serves until told to stop (SIGQUIT: after the running request) or pm.max_requests is reached.
// Returns the exit code.
int run_worker(const WorkerContext& context);

}  // namespace bulkhead::pool
