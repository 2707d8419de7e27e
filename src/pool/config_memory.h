// A pool's configuration as master hands it over: bytes in a memfd.
//
// Runs in: zygote's fresh children and pools.  Input: master's bytes (trusted).
#pragma once

#include "base/error.h"
#include "config/pool_config.h"
#include "sys/fd.h"

namespace bulkhead::pool {

Result<config::PoolConfig> read_config(sys::FdRef memory);

}  // namespace bulkhead::pool
