#include "http/headers.h"

#include <array>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(HeaderId::kCount)> kNames = {
    "",
    "Host",
    "Connection",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Match",
    "If-None-Match",
    "User-Agent",
    "Referer",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Range",
    "If-Range",
    "Transfer-Encoding",
    "TE",
    "Expect",
    "Upgrade",
    "Accept-Encoding",
    "Via",
    "Authorization",
    "Keep-Alive",
    "X-Forwarded-For",
    "X-Real-IP",
    "Accept",
    "Accept-Language",
    "Depth",
    "Destination",
    "Overwrite",
    "Date",
    "Cookie",
    "Proxy",
};

constexpr uint32_t hash_of(std::string_view name) {
  uint32_t hash = 0;
  for (char c : name) hash = header_hash_step(hash, to_lower(c));
  return hash;
}

// Open addressing; a slot holds an id, 0 is empty.
constexpr size_t kTableSize = 128;
constexpr auto kTable = [] {
  std::array<uint8_t, kTableSize> table{};
  for (size_t id = 1; id < kNames.size(); ++id) {
    size_t slot = hash_of(kNames[id]) % kTableSize;
    while (table[slot] != 0) slot = (slot + 1) % kTableSize;
    table[slot] = static_cast<uint8_t>(id);
  }
  return table;
}();

}  // namespace

uint32_t header_hash(std::string_view name) { return hash_of(name); }

HeaderId find_header_id(std::string_view name) { return find_header_id(name, hash_of(name)); }

HeaderId find_header_id(std::string_view name, uint32_t hash) {
  for (size_t slot = hash % kTableSize; kTable[slot] != 0; slot = (slot + 1) % kTableSize) {
    if (iequals(kNames[kTable[slot]], name)) return static_cast<HeaderId>(kTable[slot]);
  }
  return HeaderId::kOther;
}

std::string_view header_name(HeaderId id) {
  return id < HeaderId::kCount ? kNames[static_cast<size_t>(id)] : std::string_view();
}

}  // namespace bulkhead::http
