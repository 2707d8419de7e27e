// Addresses of `listen`, `fastcgi_pass`, `server`, `allow` and `deny`.
//
// Runs in: master, front.  Input: configuration (trusted).  Blocks: when a name is looked up.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "config/nginx_values.h"

namespace bulkhead::config {
namespace {

template <class T>
std::string raw(const T& address) {
  return std::string(reinterpret_cast<const char*>(&address), sizeof address);
}

std::string inet4(in_addr address, uint32_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr = address;
  out.sin_port = htons(static_cast<uint16_t>(port));
  return raw(out);
}

std::string inet6(const in6_addr& address, uint32_t port) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_addr = address;
  out.sin6_port = htons(static_cast<uint16_t>(port));
  return raw(out);
}

std::string unix_sockaddr(std::string_view path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, path.data(), path.size());
  return raw(out);
}

sa_family_t family_of(std::string_view sockaddr) {
  sa_family_t family = AF_UNSPEC;
  if (sockaddr.size() >= sizeof family) std::memcpy(&family, sockaddr.data(), sizeof family);
  return family;
}

Result<Address> parse_unix(std::string_view text) {
  std::string_view path = text.substr(5);
  if (path.empty()) return fail("no path in the unix domain socket");
  if (path.size() + 1 > sizeof(sockaddr_un::sun_path)) {
    return fail("too long path in the unix domain socket");
  }
  Address out;
  out.host = text;
  out.sockaddrs.push_back(unix_sockaddr(path));
  return out;
}

// "80" or, for listen, "80-90".
Status parse_port(std::string_view text, bool range_allowed, Address* out) {
  size_t dash = range_allowed ? text.find('-') : std::string_view::npos;
  auto first = parse_number(text.substr(0, dash));
  if (!first || *first < 1 || *first > 65535) return fail("invalid port");
  out->port = out->port_last = static_cast<uint32_t>(*first);
  if (dash != std::string_view::npos) {
    auto last = parse_number(text.substr(dash + 1));
    if (!last || *last < 1 || *last > 65535) return fail("invalid port");
    if (*last < *first) return fail("invalid port range");
    out->port_last = static_cast<uint32_t>(*last);
  }
  return {};
}

Result<Address> parse_inet6(std::string_view text, const AddressOptions& options) {
  size_t close = text.find(']');
  if (close == std::string_view::npos) return fail("invalid host");
  std::string_view rest = text.substr(close + 1);
  Address out;
  out.host = text.substr(0, close + 1);
  if (!rest.empty()) {
    if (rest[0] != ':') return fail("invalid host");
    TRY_STATUS(parse_port(rest.substr(1), options.listen, &out));
  } else {
    out.port = out.port_last = options.default_port;
  }
  in6_addr address{};
  std::string host(text.substr(1, close - 1));
  if (host.empty()) return fail("no host");
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return fail("invalid IPv6 address");
  out.wildcard = IN6_IS_ADDR_UNSPECIFIED(&address);
  out.sockaddrs.push_back(inet6(address, out.port));
  return out;
}

Status resolve_host(Address* out, const Resolver& resolver) {
  in_addr literal{};
  if (out->host == "*") {
    out->wildcard = true;
    out->sockaddrs.push_back(inet4(in_addr{}, out->port));
    return {};
  }
  if (::inet_pton(AF_INET, out->host.c_str(), &literal) == 1) {
    out->wildcard = literal.s_addr == INADDR_ANY;
    out->sockaddrs.push_back(inet4(literal, out->port));
    return {};
  }
  for (const std::string& found : resolver.lookup(out->host)) {
    out->sockaddrs.push_back(with_port(found, out->port));
  }
  if (out->sockaddrs.empty() && resolver.ask_dns) return fail("host not found");
  return {};
}

}  // namespace

std::vector<std::string> Resolver::lookup(const std::string& host) const {
  std::vector<std::string> out;
  if (known != nullptr) {
    if (auto at = known->find(host); at != known->end()) out = at->second;
  }
  if (out.empty() && ask_dns) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0) {
      // In the resolver's order, as nginx 1.22: with both in /etc/hosts, ::1 before 127.0.0.1.
      for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        out.emplace_back(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen);
      }
      ::freeaddrinfo(found);
    }
  }
  if (record != nullptr && !out.empty()) (*record)[host] = out;
  return out;
}

Result<Address> parse_address(std::string_view text, const AddressOptions& options,
                              const Resolver& resolver) {
  if (text.size() >= 5 && to_lower(text.substr(0, 5)) == "unix:") return parse_unix(text);
  if (text.starts_with('[')) return parse_inet6(text, options);
  Address out;
  size_t slash = text.find_first_of("/?");
  size_t colon = text.find(':');
  if (slash != std::string_view::npos) return fail("invalid host");
  if (colon != std::string_view::npos) {
    out.host = text.substr(0, colon);
    TRY_STATUS(parse_port(text.substr(colon + 1), options.listen, &out));
  } else if (options.listen && !text.empty() && text[0] >= '0' && text[0] <= '9' &&
             text.find('.') == std::string_view::npos) {
    out.host = "*";
    TRY_STATUS(parse_port(text, true, &out));
  } else {
    out.host = text;
    out.port = out.port_last = options.default_port;
  }
  if (out.host.empty()) return fail("no host");
  if (options.resolve) TRY_STATUS(resolve_host(&out, resolver));
  return out;
}

std::string with_port(std::string_view sockaddr, uint32_t port) {
  std::string out(sockaddr);
  uint16_t network = htons(static_cast<uint16_t>(port));
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  bool is_inet = family_of(sockaddr) == AF_INET || family_of(sockaddr) == AF_INET6;
  if (is_inet && out.size() >= sizeof(sockaddr_in)) {
    std::memcpy(out.data() + offsetof(sockaddr_in, sin_port), &network, sizeof network);
  }
  return out;
}

std::string sockaddr_text(std::string_view sockaddr) {
  char text[INET6_ADDRSTRLEN] = "";
  if (family_of(sockaddr) == AF_INET && sockaddr.size() >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, sockaddr.data(), sizeof in);
    ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (family_of(sockaddr) == AF_INET6 && sockaddr.size() >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, sockaddr.data(), sizeof in);
    ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(in.sin6_port));
  }
  if (family_of(sockaddr) == AF_UNIX) {
    std::string_view path = sockaddr.substr(offsetof(sockaddr_un, sun_path));
    return "unix:" + std::string(path.substr(0, path.find('\0')));
  }
  return {};
}

bool is_wildcard(std::string_view sockaddr) {
  if (family_of(sockaddr) == AF_INET && sockaddr.size() >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, sockaddr.data(), sizeof in);
    return in.sin_addr.s_addr == INADDR_ANY;
  }
  if (family_of(sockaddr) == AF_INET6 && sockaddr.size() >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, sockaddr.data(), sizeof in);
    return IN6_IS_ADDR_UNSPECIFIED(&in.sin6_addr);
  }
  return false;
}

std::optional<AccessRule> parse_access(std::string_view text, bool* low_bits) {
  AccessRule rule;
  *low_bits = false;
  if (text == "all") return rule;
  if (text == "unix:") {
    rule.kind = AccessRule::Kind::kUnix;
    return rule;
  }
  size_t slash = text.find('/');
  std::string host(text.substr(0, slash));
  size_t bytes = 0;
  if (::inet_pton(AF_INET, host.c_str(), rule.address) == 1) {
    rule.kind = AccessRule::Kind::kInet4;
    bytes = 4;
  } else if (::inet_pton(AF_INET6, host.c_str(), rule.address) == 1) {
    rule.kind = AccessRule::Kind::kInet6;
    bytes = 16;
  } else {
    return std::nullopt;
  }
  size_t bits = bytes * 8;
  if (slash != std::string_view::npos) {
    auto given = parse_number(text.substr(slash + 1));
    if (!given || *given > bits) return std::nullopt;
    bits = *given;
  }
  for (size_t i = 0; i < bytes; ++i) {
    size_t here = std::min<size_t>(bits > i * 8 ? bits - i * 8 : 0, 8);
    rule.mask[i] = static_cast<uint8_t>(0xff00U >> here);
    if ((rule.address[i] & ~rule.mask[i] & 0xff) != 0) *low_bits = true;
    rule.address[i] &= rule.mask[i];
  }
  return rule;
}

}  // namespace bulkhead::config
