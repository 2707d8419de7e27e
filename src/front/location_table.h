// Which location answers for a path, among the locations of one level.
//
// Runs in: front.  Input: decoded paths (hostile).
// Threads: immutable after build.  Cost: one binary search, then the regular expressions in order.
// Ref: nginx "location": exact, longest prefix ("^~" stops), first regular expression, prefix.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model.h"

namespace bulkhead::front {

struct LocationPlan;

enum class Found : uint8_t {
  kNone,      // no location of this level matches
  kPrefix,    // a prefix does; a regular expression outside may still win
  kDecided,   // exact match or regular expression
  kAddSlash,  // 301 to the location's name: the slash is missing
};

class LocationTable {
 public:
  // Adds in file order, then build().
  void add(const LocationPlan* plan);
  void build();

  // Sets *out to the best location (left alone for kNone).  `captures` gets a regular expression's
  // groups, and *matched the location it belongs to.
  Found find(std::string_view path, const LocationPlan** out, config::Captures* captures,
             const LocationPlan** matched) const;
  [[nodiscard]] const LocationPlan* find_named(std::string_view name) const;

 private:
  struct Entry {
    std::string_view text;
    const LocationPlan* exact = nullptr;
    const LocationPlan* prefix = nullptr;
    uint32_t parent = config::kNone;  // longest entry that is a proper prefix of this one
  };
  [[nodiscard]] Found find_static(std::string_view path, const LocationPlan** out) const;

  std::vector<Entry> entries_;  // sorted by text
  std::vector<const LocationPlan*> patterns_;
  std::unordered_map<std::string_view, const LocationPlan*> named_;
  bool has_auto_redirect_ = false;
};

}  // namespace bulkhead::front
