// One look at a server's numbers, and what happened between two looks.
//
// Runs in: bulkhead.  Input: the status of our own master (JSON); names in it become text that no
// terminal takes for a command.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::top {

using Clock = std::chrono::steady_clock;

struct SiteSample {
  std::string state, why;
  bool has_pool = false;
  uint64_t requests = 0, errors = 0;  // errors: 5xx
  uint64_t bytes_in = 0, bytes_out = 0, memory = 0;
  double cpu_s = 0;
  uint64_t busy = 0, workers = 0, workers_max = 0, queued = 0;
  std::vector<uint64_t> times;  // requests by how long they took
};

struct Sample {
  Clock::time_point taken{};
  int64_t pid = 0, uptime_s = 0, loops = 0;
  std::string version;
  std::vector<double> bounds_s;  // upper ends of the classes of `times` but the last
  std::map<std::string, SiteSample> sites;
};

// Nothing: that is no status.
[[nodiscard]] std::optional<Sample> parse_status(std::string_view json, Clock::time_point taken);

// One site over the time between two samples.
struct Row {
  std::string name, state, why;
  double requests_s = 0, errors_s = 0, bytes_in_s = 0, bytes_out_s = 0;
  double cpu_percent = 0;  // of one core
  uint64_t memory = 0, busy = 0, workers = 0, queued = 0;
  bool has_pool = false;
  // Seconds; nothing without requests. Infinity: more than the largest bound.
  std::optional<double> p50_s, p99_s;
};

// `before` may be of another run of the server: then everything counts from its start.
[[nodiscard]] std::vector<Row> rows_between(const std::optional<Sample>& before,
                                            const Sample& after);

// The time below which `share` of the requests stayed, linear within its class.
[[nodiscard]] std::optional<double> quantile(const std::vector<uint64_t>& times,
                                             const std::vector<double>& bounds_s, double share);

}  // namespace bulkhead::top
