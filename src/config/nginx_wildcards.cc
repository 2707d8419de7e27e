#include "config/nginx_wildcards.h"

#include <algorithm>

namespace bulkhead::config {

WildcardKind classify_wildcard(std::string_view name) {
  auto stars = std::count(name.begin(), name.end(), '*');
  if (stars > 1 || name.find("..") != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return WildcardKind::kInvalid;
  }
  if (name.size() > 1 && name[0] == '.') return WildcardKind::kDot;
  if (name.size() > 2 && name.starts_with("*.")) return WildcardKind::kLeading;
  if (name.size() > 2 && name.ends_with(".*")) return WildcardKind::kTrailing;
  return stars > 0 ? WildcardKind::kInvalid : WildcardKind::kExact;
}

bool WildcardKeys::add(std::string_view name, WildcardKind kind) {
  switch (kind) {
    case WildcardKind::kDot:
      // Stands for two names; either may be taken.
      if (!exact_.emplace(name.substr(1)).second) return false;
      return leading_.emplace(name.substr(1)).second;
    case WildcardKind::kLeading:
      return leading_.emplace(name.substr(2)).second;
    case WildcardKind::kTrailing:
      return trailing_.emplace(name.substr(0, name.size() - 2)).second;
    default:
      return exact_.emplace(name).second;
  }
}

}  // namespace bulkhead::config
