// Host names with a wildcard, as `server_name` and `map ... hostnames` know them.
//
// Runs in: master, front.  Input: configuration (trusted).
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace bulkhead::config {

enum class WildcardKind : uint8_t {
  kExact,
  kDot,       // .example.com: the name itself and everything below it
  kLeading,   // *.example.com
  kTrailing,  // www.example.*
  kInvalid,
};
WildcardKind classify_wildcard(std::string_view name);

// The names of one address, to find two that mean the same.
class WildcardKeys {
 public:
  // False when an equal name is there already.
  bool add(std::string_view name, WildcardKind kind);

 private:
  std::unordered_set<std::string> exact_, leading_, trailing_;
};

}  // namespace bulkhead::config
