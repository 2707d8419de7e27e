// What one site may take of the machine: the limit.* directives of a pool as numbers.
//
// Runs in: master (checks), zygote and pool (limits of the process), front (its caps).
// Input: configuration (trusted).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::config {

struct PoolConfig;

// Unset: no limit of that kind.
struct PoolLimits {
  std::optional<uint64_t> memory_bytes;         // limit.memory = 512M
  std::optional<uint32_t> cpu_percent;          // limit.cpu = 150%, of one core
  uint32_t tasks = 0;                           // limit.tasks = 200; processes and threads
  std::optional<uint64_t> io_bytes_per_second;  // limit.io = 20M: read and written, each, per disk
  std::optional<uint64_t> io_per_second;        // limit.io = 20M 500: ... and operations
  std::optional<uint64_t> disk_bytes;  // limit.disk = 2G, in the site's private directories
  // Front's caps; 0: front's own default, which goes by worker_connections.
  uint32_t connections = 0;   // limit.connections = 200: clients with a request in the site
  uint32_t queue = 0;         // limit.queue = 100: requests that wait for a worker
  uint64_t buffer_bytes = 0;  // limit.buffer = 64M: bodies and replies held in front's memory

  friend bool operator==(const PoolLimits&, const PoolLimits&) = default;
};

// Processes and threads of a site that says nothing: enough for every worker to run a program with
// some threads (ImageMagick, git, node), few enough that a fork bomb is no machine's end.
constexpr uint32_t kTasksDefault = 1024;

// What is wrong with the value of a limit.* directive; nothing when it can be used.
std::optional<std::string_view> limit_fault(std::string_view name, std::string_view value);

// The limits of a pool whose values have all been checked.
PoolLimits read_limits(const PoolConfig& pool);

// "64M", "2G", "512k", "1048576" in bytes; powers of 1024.  Nothing for anything else, or more than
// 2^62.
std::optional<uint64_t> parse_size(std::string_view text);

}  // namespace bulkhead::config
