#include "base/nearest.h"

#include <algorithm>

namespace bulkhead {
namespace {

constexpr size_t kLengthMax = 256;  // what is longer is no slip of the finger
constexpr size_t kSlipsMax = 3;

// Optimal string alignment: Damerau and Levenshtein's distance, no part changed twice.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view typed, const std::vector<std::string>& names) {
  if (typed.empty() || typed.size() > kLengthMax) return "";
  std::string found;
  size_t least = std::min(kSlipsMax, (typed.size() + 1) / 3) + 1;
  for (const std::string& name : names) {
    if (name.size() > kLengthMax) continue;
    const size_t slips = distance(typed, name);
    if (slips >= least) continue;
    least = slips;
    found = name;
  }
  return found;
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names) {
  const std::string name = nearest(typed, names);
  return name.empty() ? "" : "; did you mean \"" + name + "\"?";
}

}  // namespace bulkhead
