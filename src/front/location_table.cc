#include "front/location_table.h"

#include <algorithm>

#include "front/plan.h"

namespace bulkhead::front {

using Kind = config::Location::Kind;

void LocationTable::add(const LocationPlan* plan) {
  const config::Location& source = *plan->source;
  switch (source.kind) {
    case Kind::kExact:
      entries_.push_back({source.text, plan, nullptr, config::kNone});
      break;
    case Kind::kPrefix:
    case Kind::kPrefixNoRegex:
      entries_.push_back({source.text, nullptr, plan, config::kNone});
      has_auto_redirect_ |= source.auto_redirect;
      break;
    case Kind::kRegex:
      patterns_.push_back(plan);
      break;
    case Kind::kNamed:
      named_.try_emplace(source.text, plan);
      break;
    case Kind::kServer:
    case Kind::kIf:
      break;
  }
}

void LocationTable::build() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.text < b.text; });
  std::vector<Entry> merged;
  for (const Entry& e : entries_) {
    if (!merged.empty() && merged.back().text == e.text) {
      if (merged.back().exact == nullptr) merged.back().exact = e.exact;
      if (merged.back().prefix == nullptr) merged.back().prefix = e.prefix;
    } else {
      merged.push_back(e);
    }
  }
  entries_ = std::move(merged);
  // The entries that are prefixes of the current one form a chain ending at its predecessor.
  for (uint32_t i = 1; i < entries_.size(); ++i) {
    uint32_t candidate = i - 1;
    while (candidate != config::kNone && !entries_[i].text.starts_with(entries_[candidate].text)) {
      candidate = entries_[candidate].parent;
    }
    entries_[i].parent = candidate;
  }
}

Found LocationTable::find_static(std::string_view path, const LocationPlan** out) const {
  auto after = std::upper_bound(entries_.begin(), entries_.end(), path,
                                [](std::string_view p, const Entry& e) { return p < e.text; });
  const LocationPlan* best = nullptr;
  if (after != entries_.begin()) {
    auto at = static_cast<uint32_t>(after - entries_.begin() - 1);
    while (at != config::kNone) {
      const Entry& e = entries_[at];
      if (path.size() == e.text.size() && path == e.text) {
        if (e.exact != nullptr) {
          *out = e.exact;
          return Found::kDecided;
        }
        *out = e.prefix;
        return Found::kPrefix;
      }
      if (e.prefix != nullptr && path.starts_with(e.text)) {
        best = e.prefix;
        break;
      }
      at = e.parent;
    }
  }
  if (has_auto_redirect_) {
    for (auto it = after; it != entries_.end() && it->text.starts_with(path); ++it) {
      if (it->text.size() == path.size() + 1 && it->text.back() == '/' && it->prefix != nullptr &&
          it->prefix->source->auto_redirect) {
        *out = it->prefix;
        return Found::kAddSlash;
      }
      if (it->text[path.size()] > '/') break;
    }
  }
  if (best == nullptr) return Found::kNone;
  *out = best;
  return Found::kPrefix;
}

Found LocationTable::find(std::string_view path, const LocationPlan** out,
                          config::Captures* captures, const LocationPlan** matched) const {
  const LocationPlan* prefix = nullptr;
  Found found = find_static(path, &prefix);
  bool may_match = true;
  if (prefix != nullptr) *out = prefix;
  if (found == Found::kPrefix) {
    may_match = prefix->source->kind != Kind::kPrefixNoRegex;
    Found nested = prefix->children.find(path, out, captures, matched);
    if (nested == Found::kDecided || nested == Found::kAddSlash) return nested;
  } else if (found != Found::kNone) {
    return found;
  }
  if (may_match) {
    for (const LocationPlan* plan : patterns_) {
      config::Captures groups;
      if (plan->source->regex->match(path, &groups) != config::MatchResult::kYes) continue;
      *out = plan;
      *captures = groups;
      *matched = plan;
      plan->children.find(path, out, captures, matched);
      return Found::kDecided;
    }
  }
  return found;
}

const LocationPlan* LocationTable::find_named(std::string_view name) const {
  auto it = named_.find(name);
  return it == named_.end() ? nullptr : it->second;
}

}  // namespace bulkhead::front
