// See sample.h.
#include "top/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace bulkhead::top {
namespace {

using nlohmann::json;

const json& member(const json& object, const char* name) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  auto at = object.find(name);
  return at == object.end() ? kNothing : *at;
}

uint64_t number(const json& object, const char* name) {
  const json& value = member(object, name);
  return value.is_number() ? value.get<uint64_t>() : 0;
}

std::string text(const json& object, const char* name) {
  const json& value = member(object, name);
  std::string out = value.is_string() ? value.get<std::string>() : "";
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

template <class T>
std::vector<T> numbers(const json& list) {
  std::vector<T> out;
  if (!list.is_array()) return out;
  for (const json& value : list) out.push_back(value.is_number() ? value.get<T>() : T());
  return out;
}

SiteSample read_site(const json& item) {
  SiteSample site;
  site.state = text(item, "state");
  site.why = text(item, "why");
  site.has_pool = text(item, "kind") == "pool";
  site.requests = number(member(item, "requests"), "all");
  site.errors = number(member(item, "requests"), "5xx");
  site.bytes_in = number(item, "bytes_in");
  site.bytes_out = number(item, "bytes_out");
  site.memory = number(item, "memory_bytes");
  const json& cpu = member(item, "cpu_s");
  site.cpu_s = cpu.is_number() ? cpu.get<double>() : 0;
  site.busy = number(item, "workers_busy");
  site.workers = site.busy + number(item, "workers_idle");
  site.workers_max = number(item, "workers_max");
  site.queued = number(item, "queued");
  site.times = numbers<uint64_t>(member(member(item, "latency"), "requests"));
  return site;
}

// A counter that went back has begun anew.
template <class T>
T grown(T before, T after) {
  return after >= before ? after - before : after;
}

}  // namespace

std::optional<Sample> parse_status(std::string_view text_of_status, Clock::time_point taken) {
  const json whole = json::parse(text_of_status, nullptr, false);
  if (!member(whole, "pid").is_number() || !member(whole, "sites").is_array()) return {};
  Sample sample;
  sample.taken = taken;
  sample.pid = static_cast<int64_t>(number(whole, "pid"));
  sample.uptime_s = static_cast<int64_t>(number(whole, "uptime_s"));
  sample.loops = static_cast<int64_t>(number(whole, "loops"));
  sample.version = text(whole, "version");
  for (const json& item : whole["sites"]) {
    if (sample.bounds_s.empty()) {
      sample.bounds_s = numbers<double>(member(member(item, "latency"), "up_to_s"));
    }
    sample.sites[text(item, "name")] = read_site(item);
  }
  return sample;
}

std::optional<double> quantile(const std::vector<uint64_t>& times,
                               const std::vector<double>& bounds_s, double share) {
  uint64_t all = 0;
  for (uint64_t count : times) all += count;
  if (all == 0 || times.size() != bounds_s.size() + 1) return {};
  const double wanted = share * static_cast<double>(all);
  double below = 0;
  for (size_t i = 0; i < bounds_s.size(); ++i) {
    const auto here = static_cast<double>(times[i]);
    if (below + here >= wanted && here > 0) {
      const double low = i == 0 ? 0 : bounds_s[i - 1];
      return low + (bounds_s[i] - low) * (wanted - below) / here;
    }
    below += here;
  }
  return std::numeric_limits<double>::infinity();
}

std::vector<Row> rows_between(const std::optional<Sample>& before, const Sample& after) {
  const bool same = before && before->pid == after.pid && before->uptime_s <= after.uptime_s;
  const double seconds = same ? std::chrono::duration<double>(after.taken - before->taken).count()
                              : static_cast<double>(std::max<int64_t>(after.uptime_s, 1));
  const double per_s = 1 / std::max(seconds, 0.001);
  std::vector<Row> rows;
  for (const auto& [name, now] : after.sites) {
    SiteSample old;
    if (same) {
      if (auto at = before->sites.find(name); at != before->sites.end()) old = at->second;
    }
    Row row{.name = name, .state = now.state, .why = now.why};
    row.requests_s = static_cast<double>(grown(old.requests, now.requests)) * per_s;
    row.errors_s = static_cast<double>(grown(old.errors, now.errors)) * per_s;
    row.bytes_in_s = static_cast<double>(grown(old.bytes_in, now.bytes_in)) * per_s;
    row.bytes_out_s = static_cast<double>(grown(old.bytes_out, now.bytes_out)) * per_s;
    row.cpu_percent = grown(old.cpu_s, now.cpu_s) * per_s * 100;
    row.memory = now.memory;
    row.busy = now.busy;
    row.workers = now.workers;
    row.queued = now.queued;
    row.has_pool = now.has_pool;
    std::vector<uint64_t> times = now.times;
    for (size_t i = 0; i < times.size() && i < old.times.size(); ++i) {
      times[i] = grown(old.times[i], times[i]);
    }
    row.p50_s = quantile(times, after.bounds_s, 0.5);
    row.p99_s = quantile(times, after.bounds_s, 0.99);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace bulkhead::top
