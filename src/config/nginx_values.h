// Numbers, sizes, times and addresses as the nginx language spells them.
//
// Runs in: master, front (through build_model).  Input: configuration (trusted).
// Ref: nginx.org "Configuration file measurement units".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"

namespace bulkhead::config {

// "123"; nothing else.
std::optional<uint64_t> parse_number(std::string_view text);
// "8k", "1m"; with `giga` also "1g".
std::optional<uint64_t> parse_size(std::string_view text, bool giga = false);
// "1h 30m", "500ms" (only in milliseconds), "10": seconds.
std::optional<Millis> parse_millis(std::string_view text);
std::optional<Seconds> parse_seconds(std::string_view text);

std::string to_lower(std::string_view text);

// Where names are looked up and every answer is noted.
struct Resolver {
  const std::map<std::string, std::vector<std::string>>* known = nullptr;  // may be null
  bool ask_dns = true;
  std::map<std::string, std::vector<std::string>>* record = nullptr;  // may be null
  // Raw sockaddrs with port 0 of a host name; empty when there is none.  Blocks when it asks.
  std::vector<std::string> lookup(const std::string& host) const;
};

// An address as `listen` and `*_pass` write it.
struct Address {
  std::string host;                    // as written, without port; "unix:/path"
  uint32_t port = 0;                   // 0: not given
  uint32_t port_last = 0;              // of a range, else equal to port
  bool wildcard = false;               // "*", or only a port
  std::vector<std::string> sockaddrs;  // raw, of the first port; empty until resolved
};
struct AddressOptions {
  bool listen = false;  // "80" is a port, "80-90" a range
  bool resolve = true;  // look names up
  uint32_t default_port = 0;
};
// Errors: nginx's short reasons: "no host", "invalid port", "host not found", ...
Result<Address> parse_address(std::string_view text, const AddressOptions& options,
                              const Resolver& resolver);
// "0.0.0.0:80", "[::]:80", "unix:/path".
std::string sockaddr_text(std::string_view sockaddr);
std::string with_port(std::string_view sockaddr, uint32_t port);
bool is_wildcard(std::string_view sockaddr);

// "10.0.0.0/8", "::1", "unix:", "all" for allow and deny.  `low_bits` is set when address bits
// below the mask had to be cleared.
std::optional<AccessRule> parse_access(std::string_view text, bool* low_bits);

}  // namespace bulkhead::config
