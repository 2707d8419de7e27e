// See site_figures.h.  Ref: proc(5) (Linux 6.1), cgroup-v2.rst: cpu.stat, memory.current.
#include "master/site_figures.h"

#include <unistd.h>

#include <charconv>

#include "sys/files.h"

namespace bulkhead::master {
namespace {

constexpr size_t kProcessesMax = 4096;  // of one site that are looked at
constexpr size_t kTextMax = 1 << 20;

uint64_t leading_number(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string text_of(pid_t pid, const char* name) {
  auto text = sys::read_file("/proc/" + std::to_string(pid) + "/" + name, kTextMax);
  return text ? std::move(*text) : std::string();
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  const std::string text = text_of(pid, ("task/" + number + "/children").c_str());
  std::vector<pid_t> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (const auto child = leading_number(text.substr(at, end - at)); child != 0) {
      out.push_back(static_cast<pid_t>(child));
    }
    at = end + 1;
  }
  return out;
}

uint64_t rss_of(pid_t pid) {
  const std::string text = text_of(pid, "statm");  // "size resident shared ..." in pages
  const size_t space = text.find(' ');
  if (space == std::string::npos) return 0;
  return leading_number(std::string_view(text).substr(space)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// What a site's first processes have forked, they included.
std::vector<pid_t> family(const std::vector<SiteFigures::Process>& processes) {
  std::vector<pid_t> all;
  for (const auto& process : processes) {
    all.push_back(process.pid);
    all.insert(all.end(), process.workers.begin(), process.workers.end());
  }
  const size_t known = processes.size();
  for (size_t i = 0; i < all.size() && all.size() < kProcessesMax; ++i) {
    bool is_first = false;
    for (size_t p = 0; p < known && !is_first; ++p) is_first = processes[p].pid == all[i];
    if (is_first) continue;  // its children are there already
    for (pid_t child : children_of(all[i])) all.push_back(child);
  }
  return all;
}

}  // namespace

uint64_t number_after(std::string_view text, std::string_view key) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(key)) return leading_number(line.substr(key.size()));
    at = end + 1;
  }
  return 0;
}

uint64_t ticks_of_stat(std::string_view stat) {
  // The second field is a name in parentheses that may hold anything, parentheses too.
  const size_t close = stat.rfind(')');
  if (close == std::string_view::npos) return 0;
  constexpr int kUtime = 14, kCstime = 17;
  uint64_t sum = 0;
  int field = 3;
  for (size_t at = close + 2; at < stat.size() && field <= kCstime; ++field) {
    const size_t end = std::min(stat.find(' ', at), stat.size());
    if (field >= kUtime) sum += leading_number(stat.substr(at, end - at));
    at = end + 1;
  }
  return sum;
}

SiteFigures FigureReader::processes_of(const std::vector<pid_t>& pids) {
  SiteFigures out;
  for (pid_t pid : pids) {
    out.processes.push_back({pid, children_of(pid)});
    out.workers += out.processes.back().workers.size();
  }
  return out;
}

SiteFigures FigureReader::read(const std::vector<pid_t>& pids, const std::string& group) const {
  SiteFigures out = processes_of(pids);
  if (pids.empty()) return out;
  bool has_cpu = false;
  if (!group.empty()) {
    if (auto text = sys::read_file(group + "/cpu.stat", kTextMax)) {
      out.cpu_us = number_after(*text, "usage_usec ");
      has_cpu = true;
    }
    if (auto text = sys::read_file(group + "/memory.current", kTextMax)) {
      out.memory_bytes = leading_number(*text);
      out.memory_from = MemorySource::kCgroup;
    }
  }
  const bool has_memory = out.memory_from != MemorySource::kNone;
  if (has_cpu && has_memory) return out;
  const std::vector<pid_t> all = family(out.processes);
  const auto tick_us = 1'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  if (!has_memory) out.memory_from = MemorySource::kPss;
  for (pid_t pid : all) {
    if (!has_cpu) out.cpu_us += ticks_of_stat(text_of(pid, "stat")) * tick_us;
    if (has_memory) continue;
    const bool is_late = std::chrono::steady_clock::now() > until_;
    const std::string rollup = is_late ? "" : text_of(pid, "smaps_rollup");
    if (rollup.empty()) {
      // Late, not allowed, or it has just ended (then this is 0 as well).
      const uint64_t rss = rss_of(pid);
      if (rss != 0) out.memory_from = MemorySource::kRss;
      out.memory_bytes += rss;
    } else {
      out.memory_bytes += number_after(rollup, "Pss:") * 1024;
    }
  }
  return out;
}

}  // namespace bulkhead::master
