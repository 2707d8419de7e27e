#include "config/nginx_values.h"

#include <climits>

namespace bulkhead::config {
namespace {

// The units of time, largest first; a smaller one may only follow a larger one.
struct TimeUnit {
  char letter;
  int step;
  int64_t seconds;
};
constexpr int kStepStart = 0, kStepMonth = 2, kStepSecond = 7, kStepMilli = 8, kStepLast = 9;
constexpr TimeUnit kUnits[] = {
    {'y', 1, 365 * 86400}, {'M', 2, 30 * 86400}, {'w', 3, 7 * 86400}, {'d', 4, 86400},
    {'h', 5, 3600},        {'m', 6, 60},         {'s', 7, 1},         {' ', kStepLast, 1},
};

// Parses a time into seconds or milliseconds (`per_second` 1 or 1000).
std::optional<int64_t> parse_time(std::string_view text, int64_t per_second) {
  const bool in_seconds = per_second == 1;
  constexpr int64_t kMax = INT64_MAX / 4000;
  int step = in_seconds ? kStepStart : kStepMonth;
  int64_t value = 0, total = 0;
  bool has_digits = false;
  for (size_t i = 0; i < text.size();) {
    char c = text[i++];
    if (c >= '0' && c <= '9') {
      value = value * 10 + (c - '0');
      has_digits = true;
      if (value > kMax / 10) return std::nullopt;
      continue;
    }
    int64_t scale = 0;
    if (c == 'm' && i < text.size() && text[i] == 's') {
      if (in_seconds || step >= kStepMilli) return std::nullopt;
      ++i;
      step = kStepMilli;
      scale = 1;
    } else {
      const TimeUnit* unit = nullptr;
      for (const TimeUnit& candidate : kUnits) {
        if (candidate.letter == c) unit = &candidate;
      }
      if (unit == nullptr) return std::nullopt;
      if (c == ' ' ? step >= kStepSecond : step >= unit->step) return std::nullopt;
      step = unit->step;
      scale = unit->seconds * per_second;
    }
    if (value > kMax / scale) return std::nullopt;
    total += value * scale;
    if (total > kMax) return std::nullopt;
    value = 0;
    while (i < text.size() && text[i] == ' ') ++i;
  }
  if (!has_digits || value > kMax / per_second) return std::nullopt;
  return total + value * per_second;
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || value > (INT64_MAX - 9) / 10) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

std::optional<uint64_t> parse_size(std::string_view text, bool giga) {
  if (text.empty()) return std::nullopt;
  int shift = 0;
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
      if (!giga) return std::nullopt;
      shift = 30;
      break;
    default:
      break;
  }
  if (shift != 0) text.remove_suffix(1);
  auto value = parse_number(text);
  if (!value || *value > (static_cast<uint64_t>(INT64_MAX) >> shift)) return std::nullopt;
  return *value << shift;
}

std::optional<Millis> parse_millis(std::string_view text) {
  auto value = parse_time(text, 1000);
  if (!value) return std::nullopt;
  return Millis(*value);
}

std::optional<Seconds> parse_seconds(std::string_view text) {
  auto value = parse_time(text, 1);
  if (!value) return std::nullopt;
  return Seconds(*value);
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

}  // namespace bulkhead::config
