// From a fresh fork of the zygote to a running pool: memory of its own, the site's identity and
// environment, PHP with the pool's settings.
//
// Runs in: a process the zygote has just forked (as root until the identity changes).
// Input: master's fork order (trusted).
#pragma once

#include <vector>

#include "ipc/protocol.h"
#include "sandbox/confine.h"
#include "sys/fd.h"

namespace bulkhead::pool {

// What master sent with Op::kFork.
struct ForkOrder {
  ipc::ForkBody body{};
  std::vector<sys::Fd> fds;  // as the comment on Op::kFork lists them
};
// The directory of the site's control group; invalid when it has none.
[[nodiscard]] sys::FdRef group_of(const ForkOrder& order);
// Whether the descriptors are as many as the order says.
[[nodiscard]] bool is_complete(const ForkOrder& order);

// What every pool gets from its zygote.
struct Nursery {
  sandbox::EtcRefresh etc;  // before the copy is made
  sandbox::Offered offered;
  sys::Fd self_link;      // sys/host_pid.h
  sys::Fd pid_namespace;  // the zygote's; closed in pools
};

// Serves the site until it stops; the exit code.  Failures go to master as kPoolFailed.
enum class Group : uint8_t { kBeganThere, kToJoin };
int run_pool(ForkOrder order, Nursery& nursery, Group group);

// What master says that this site may see (the policy `off` when it says nothing).
Result<sandbox::SitePolicy> policy_of(const ForkOrder& order);

}  // namespace bulkhead::pool
