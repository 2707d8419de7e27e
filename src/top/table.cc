// See table.h.
#include "top/table.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

namespace bulkhead::top {
namespace {

constexpr size_t kFixedWidth = 61;  // of all columns but the name

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

double value_of(const Row& row, Sort sort) {
  switch (sort) {
    case Sort::kRequests:
      return row.requests_s;
    case Sort::kErrors:
      return row.errors_s;
    case Sort::kCpu:
      return row.cpu_percent;
    case Sort::kMemory:
      return static_cast<double>(row.memory);
    case Sort::kP50:
      return row.p50_s.value_or(-1);
    case Sort::kP99:
      return row.p99_s.value_or(-1);
    case Sort::kWorkers:
      return static_cast<double>(row.busy) * 1e6 + static_cast<double>(row.workers);
    case Sort::kName:
      break;
  }
  return 0;
}

std::string fitted(std::string text, size_t width) {
  if (text.size() > width) {
    text.resize(width);
    if (width > 0) text.back() = '~';
  }
  text.resize(width, ' ');
  return text;
}

std::string cut(std::string text, size_t width) {
  if (text.size() > width) text.resize(width);
  return text;
}

std::string uptime(int64_t seconds) {
  char text[48];
  const long long days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;
  if (days > 0) {
    std::snprintf(text, sizeof text, "%lldd %02lld:%02lld", days, hours, minutes);
  } else {
    std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld", hours, minutes,
                  static_cast<long long>(seconds % 60));
  }
  return text;
}

}  // namespace

std::string short_number(double value) {
  char text[32];
  if (value >= 0 && value < 9.95 && value != std::floor(value)) {
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
  }
  const char* unit = " kMGTP";
  while (value >= 9999.5 && unit[1] != '\0') {
    value /= 1000;
    ++unit;
  }
  std::snprintf(text, sizeof text, "%.0f%.*s", value, *unit == ' ' ? 0 : 1, unit);
  return text;
}

std::string short_time(const std::optional<double>& seconds) {
  if (!seconds) return "-";
  if (std::isinf(*seconds)) return ">10s";
  char text[32];
  const double ms = *seconds * 1000;
  std::snprintf(text, sizeof text, ms < 9.995 ? "%.2f" : ms < 99.95 ? "%.1f" : "%.0f", ms);
  return text;
}

void arrange(std::vector<Row>* rows, Sort sort, std::string_view filter) {
  const std::string wanted = lower(filter);
  std::erase_if(*rows, [&](const Row& row) {
    return !wanted.empty() && lower(row.name).find(wanted) == std::string::npos;
  });
  std::sort(rows->begin(), rows->end(), [&](const Row& a, const Row& b) {
    const double of_a = value_of(a, sort), of_b = value_of(b, sort);
    return of_a != of_b ? of_a > of_b : a.name < b.name;
  });
}

std::vector<std::string> summary(const Sample& sample, const std::vector<Row>& rows, size_t width) {
  size_t awake = 0, failed = 0;
  double requests = 0, errors = 0, in = 0, out = 0, cpu = 0, memory = 0;
  for (const Row& row : rows) {
    awake += row.state == "up" || row.state == "starting" || row.state == "replacing";
    failed += row.state == "failed";
    requests += row.requests_s;
    errors += row.errors_s;
    in += row.bytes_in_s;
    out += row.bytes_out_s;
    cpu += row.cpu_percent;
    memory += static_cast<double>(row.memory);
  }
  const std::string first = "bulkhead " + sample.version + "  up " + uptime(sample.uptime_s) +
                            "  " + std::to_string(rows.size()) +
                            " sites: " + std::to_string(awake) + " awake, " +
                            std::to_string(failed) + " failed";
  const std::string second = short_number(requests) + " req/s  " + short_number(errors) +
                             " 5xx/s  in " + short_number(in) + "B/s  out " + short_number(out) +
                             "B/s  CPU " + short_number(cpu) + "%  memory " + short_number(memory) +
                             "B";
  return {cut(first, width), cut(second, width)};
}

namespace {
// The only place that knows the columns' order and widths.
std::string columns(std::string name, size_t width, const char* const (&cells)[8]) {
  const size_t name_width = std::max(width, kWidthMin) - kFixedWidth;
  char rest[160];
  std::snprintf(rest, sizeof rest, " %-9.9s%7.7s%6.6s%7.7s%7.7s%8.8s%8.8s%8.8s", cells[0], cells[1],
                cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]);
  return cut(fitted(std::move(name), name_width) + rest, std::max(width, kWidthMin));
}
}  // namespace

std::string heading(size_t width) {
  return columns("SITE", width,
                 {"STATE", "REQ/S", "5XX/S", "CPU%", "MEMORY", "P50ms", "P99ms", "WORKERS"});
}

std::string line_of(const Row& row, size_t width) {
  const std::string workers = row.has_pool
                                  ? std::to_string(row.busy) + "/" + std::to_string(row.workers) +
                                        (row.queued > 0 ? "+" + std::to_string(row.queued) : "")
                                  : "-";
  const std::string requests = short_number(row.requests_s), errors = short_number(row.errors_s),
                    cpu = short_number(row.cpu_percent),
                    memory = short_number(static_cast<double>(row.memory)),
                    p50 = short_time(row.p50_s), p99 = short_time(row.p99_s);
  return columns(row.name, width,
                 {row.state.c_str(), requests.c_str(), errors.c_str(), cpu.c_str(), memory.c_str(),
                  p50.c_str(), p99.c_str(), workers.c_str()});
}

}  // namespace bulkhead::top
