// See pool_limits.h.
#include "config/pool_limits.h"

#include <algorithm>

#include "config/pool_config.h"

namespace bulkhead::config {
namespace {

constexpr uint64_t kNumberMax = uint64_t{1} << 62;
constexpr uint64_t kMemoryMin = uint64_t{16} << 20;  // less, and no PHP starts
constexpr uint64_t kDiskMin = uint64_t{1} << 20;
constexpr uint64_t kIoMin = uint64_t{64} << 10;
constexpr uint64_t kBufferMin = uint64_t{64} << 10;
constexpr uint64_t kCpuMax = 100 * 4096, kTasksMin = 8, kTasksMax = 4'000'000;
constexpr uint64_t kConnectionsMax = 1'000'000;

std::optional<uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || value > kNumberMax / 10) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value <= kNumberMax ? std::optional(value) : std::nullopt;
}

using Fault = std::optional<std::string_view>;

Fault size_fault(std::string_view value, uint64_t least, std::string_view words) {
  auto bytes = parse_size(value);
  return bytes && *bytes >= least ? Fault() : Fault(words);
}

Fault count_fault(std::string_view value, uint64_t least, uint64_t most, std::string_view words) {
  auto number = parse_number(value);
  return number && *number >= least && *number <= most ? Fault() : Fault(words);
}

std::optional<uint64_t> parse_percent(std::string_view value) {
  if (!value.ends_with('%')) return std::nullopt;
  return parse_number(value.substr(0, value.size() - 1));
}

struct IoLimit {
  std::optional<uint64_t> bytes, operations;
};
// "RATE" or "RATE OPERATIONS".
std::optional<IoLimit> parse_io(std::string_view value) {
  const size_t space = value.find(' ');
  IoLimit out{parse_size(value.substr(0, space)), {}};
  if (!out.bytes || *out.bytes < kIoMin) return std::nullopt;
  const size_t rest = value.find_first_not_of(' ', std::min(space, value.size()));
  if (rest == std::string_view::npos) return out;
  out.operations = parse_number(value.substr(rest));
  if (!out.operations || *out.operations == 0) return std::nullopt;
  return out;
}

struct Check {
  std::string_view name;
  Fault (*fault)(std::string_view value);
};
constexpr Check kChecks[] = {
    {"limit.memory",
     [](std::string_view v) {
       return size_fault(v, kMemoryMin, "must be a size of at least 16M, as '512M'");
     }},
    {"limit.cpu",
     [](std::string_view v) {
       auto percent = parse_percent(v);
       return percent && *percent > 0 && *percent <= kCpuMax
                  ? Fault()
                  : Fault("must be a share of one processor core, as '50%' or '150%'");
     }},
    {"limit.tasks",
     [](std::string_view v) {
       return count_fault(v, kTasksMin, kTasksMax, "must be a number from 8 to 4000000");
     }},
    {"limit.io",
     [](std::string_view v) {
       return parse_io(v) ? Fault()
                          : Fault(
                                "must be bytes per second (at least 64k) and, after a space, "
                                "operations per second, as '20M' or '20M 500'");
     }},
    {"limit.disk",
     [](std::string_view v) {
       return size_fault(v, kDiskMin, "must be a size of at least 1M, as '2G'");
     }},
    {"limit.connections",
     [](std::string_view v) {
       return count_fault(v, 1, kConnectionsMax, "must be a number from 1 to 1000000");
     }},
    {"limit.queue",
     [](std::string_view v) {
       return count_fault(v, 1, kConnectionsMax, "must be a number from 1 to 1000000");
     }},
    {"limit.buffer",
     [](std::string_view v) {
       return size_fault(v, kBufferMin, "must be a size of at least 64k, as '64M'");
     }},
};

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint32_t shift = 0;
  switch (text.back()) {
    case 'k':
    case 'K':
      shift = 10;
      break;
    case 'm':
    case 'M':
      shift = 20;
      break;
    case 'g':
    case 'G':
      shift = 30;
      break;
    case 't':
    case 'T':
      shift = 40;
      break;
    default:
      break;
  }
  if (shift != 0) text.remove_suffix(1);
  auto number = parse_number(text);
  if (!number || *number > kNumberMax >> shift) return std::nullopt;
  return *number << shift;
}

std::optional<std::string_view> limit_fault(std::string_view name, std::string_view value) {
  for (const Check& check : kChecks) {
    if (check.name == name) return check.fault(value);
  }
  return std::nullopt;
}

PoolLimits read_limits(const PoolConfig& pool) {
  PoolLimits out;
  auto count = [](const std::string& text, uint32_t absent) {
    return static_cast<uint32_t>(parse_number(text).value_or(absent));
  };
  out.memory_bytes = parse_size(pool.limit_memory);
  if (auto percent = parse_percent(pool.limit_cpu)) {
    out.cpu_percent = static_cast<uint32_t>(*percent);
  }
  const auto workers = static_cast<uint32_t>(std::clamp(pool.max_children, 0, 1'000'000));
  out.tasks = count(pool.limit_tasks, std::max(kTasksDefault, 4 * workers));
  if (auto io = parse_io(pool.limit_io)) {
    out.io_bytes_per_second = io->bytes;
    out.io_per_second = io->operations;
  }
  out.disk_bytes = parse_size(pool.limit_disk);
  out.connections = count(pool.limit_connections, 0);
  out.queue = count(pool.limit_queue, 0);
  out.buffer_bytes = parse_size(pool.limit_buffer).value_or(0);
  return out;
}

}  // namespace bulkhead::config
