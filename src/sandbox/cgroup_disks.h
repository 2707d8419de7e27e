// Which disks limit.io is about, and how the kernel is told.
//
// Runs in: master.  Input: /sys/block (the kernel's own words).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/pool_limits.h"

namespace bulkhead::sandbox {

// "8:0" of every disk that has a size, without memory disks.
std::vector<std::string> disks(const std::string& sys_block = "/sys/block");
// "8:0 rbps=20971520 wbps=20971520 riops=max wiops=max".
std::string io_limit_line(std::string_view disk, const config::PoolLimits& limits);

}  // namespace bulkhead::sandbox
