// A pool's configuration as master hands it over: bytes in a memfd.
//
// Runs in: zygote's fresh children and pools.  Input: master's bytes (trusted).
#pragma once

#include "base/error.h"
#include "config/pool_config.h"
#include "sandbox/site_policy.h"
#include "sys/fd.h"

namespace bulkhead::pool {

// The first `bytes` of the memory (0: all of it).
Result<config::PoolConfig> read_config(sys::FdRef memory, size_t bytes = 0);
// What follows them: what the site may see; the policy `off` when nothing does.
Result<sandbox::SitePolicy> read_policy(sys::FdRef memory, size_t config_bytes);

}  // namespace bulkhead::pool
