// One configuration generation as front serves it: the plan and the descriptors that go with it.
//
// Runs in: front.  Input: from master only.
// Threads: a Runtime is immutable and shared by all loops; a LoopGeneration belongs to one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "front/logs.h"
#include "front/plan.h"
#include "sys/fd.h"

namespace bulkhead::front {

struct Runtime {
  uint64_t generation = 0;
  std::shared_ptr<const Plan> plan;
  std::vector<std::shared_ptr<sys::Fd>> listeners;       // in order of Model::listens
  std::vector<std::shared_ptr<sys::Fd>> pool_listeners;  // of Snapshot::pool_listen_sites
};

// A generation on one loop: requests hold it until they end, so old logs and plans live as long as
// the last request that began with them.
struct LoopGeneration {
  LoopGeneration(loop::EventLoop& loop, std::shared_ptr<const Runtime> what)
      : runtime(std::move(what)), logs(loop, runtime->plan->model().log_files) {}
  std::shared_ptr<const Runtime> runtime;
  LogBook logs;
};

}  // namespace bulkhead::front
