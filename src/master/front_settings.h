// What is settled when front's process starts and cannot change while it runs.
//
// Runs in: master.  Input: configuration (trusted).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "config/model.h"
#include "config/snapshot.h"
#include "sys/users.h"

namespace bulkhead::master {

struct FrontSettings {
  std::optional<sys::Identity> identity;  // unset: not root, stays the calling user
  std::string user, group;                // main-level `user` when it was chosen; "" when not set
  uint32_t loops = 1;                     // worker_processes
  uint64_t core_bytes = 0;                // worker_rlimit_core
  std::optional<uint64_t> nofile;         // worker_rlimit_nofile
  int priority = 0;                       // worker_priority
};
// A front that runs with `a` is as good as one started with `b`.
[[nodiscard]] bool same_process(const FrontSettings& a, const FrontSettings& b);

// How front has to run.  `running`, if any, keeps its user as long as no pool runs as that user and
// main-level `user` is the same.  Errors: every user it could run as also runs a pool.
[[nodiscard]] Result<FrontSettings> front_settings(const config::Model& model,
                                                   const config::Snapshot& snapshot,
                                                   const FrontSettings* running);

}  // namespace bulkhead::master
