// What the processes of a site take from the machine now: memory, processor time, workers.
//
// Runs in: a report child of master (reports.h).  Input: numbers of the kernel.  A process can end
// between two looks: it then counts nothing.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::master {

// cgroup: all that is charged to the site's group. pss: proportional set size of its processes,
// shared pages divided by who shares them. rss: their resident size, shared pages counted for each
// (where reading pss of all sites takes too long).
enum class MemorySource : uint8_t { kNone, kCgroup, kPss, kRss };

struct SiteFigures {
  struct Process {
    pid_t pid;
    std::vector<pid_t> workers;  // its children
  };
  std::vector<Process> processes;
  size_t workers = 0;
  uint64_t memory_bytes = 0;
  MemorySource memory_from = MemorySource::kNone;
  uint64_t cpu_us = 0;  // of the processes that run, and of those that they have waited for
};

class FigureReader {
 public:
  // Reading pss is expensive: for at most `budget` in all, then rss is taken.
  explicit FigureReader(std::chrono::milliseconds budget)
      : until_(std::chrono::steady_clock::now() + budget) {}
  // `pids`: the first process of each run. `group`: the site's control group, "" without.
  [[nodiscard]] SiteFigures read(const std::vector<pid_t>& pids, const std::string& group) const;
  // Only processes and workers.
  [[nodiscard]] static SiteFigures processes_of(const std::vector<pid_t>& pids);

 private:
  std::chrono::steady_clock::time_point until_;
};

// The number after `key` at the start of a line; 0 when it is not there.
[[nodiscard]] uint64_t number_after(std::string_view text, std::string_view key);
// utime, stime, cutime and cstime of /proc/PID/stat together, in clock ticks.
[[nodiscard]] uint64_t ticks_of_stat(std::string_view stat);

}  // namespace bulkhead::master
