// From a fresh fork of the zygote to a running pool: memory of its own, the site's identity and
// environment, PHP with the pool's settings.
//
// Runs in: a process the zygote has just forked (as root until the identity changes).
// Input: master's fork order (trusted).
#pragma once

#include <vector>

#include "ipc/protocol.h"
#include "sys/fd.h"

namespace bulkhead::pool {

// What master sent with Op::kFork.
struct ForkOrder {
  ipc::ForkBody body{};
  std::vector<sys::Fd> fds;  // as the comment on Op::kFork lists them
};
// Whether the descriptors are as many as the order says.
[[nodiscard]] bool is_complete(const ForkOrder& order);

// Serves the site until it stops; the exit code.  Failures go to master as kPoolFailed.
int run_pool(ForkOrder order);

}  // namespace bulkhead::pool
