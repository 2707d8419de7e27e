// See pool_mail.h.
#include "config/pool_mail.h"

#include <algorithm>

#include "config/pool_config.h"

namespace bulkhead::config {
namespace {

constexpr size_t kHostMax = 253, kAddressMax = 254;  // RFC 1035 2.3.4, RFC 5321 4.5.3.1

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool all_of(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return is_alnum(c) || extra.find(c) != std::string_view::npos;
  });
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value == 0 || value > 65535) return std::nullopt;
  return static_cast<uint16_t>(value);
}

// "user@host" of the characters that need no quoting, neither in a header nor in a shell.
bool is_plain_address(std::string_view text) {
  const size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || text.size() > kAddressMax) return false;
  const std::string_view host = text.substr(at + 1);
  return text[0] != '-' && !host.empty() && host[0] != '.' && all_of(text.substr(0, at), "._+-=") &&
         all_of(host, ".-");
}

// One word for the shell that PHP hands the line to.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += "'\\'";
    out += c;
  }
  return out + "'";
}

}  // namespace

std::optional<MailRelay> parse_relay(std::string_view text) {
  MailRelay out;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, end - 1);
    if (out.host.find(':') == std::string::npos || !all_of(out.host, ":.%")) return std::nullopt;
    text.remove_prefix(end + 1);
    if (text.empty()) return out;
    if (text[0] != ':') return std::nullopt;
    port = text.substr(1);
  } else {
    const size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    if (out.host.empty() || out.host.size() > kHostMax || out.host[0] == '-' ||
        !all_of(out.host, ".-_"))
      return std::nullopt;
    if (colon == std::string_view::npos) return out;
    port = text.substr(colon + 1);
  }
  auto number = parse_port(port);
  if (!number) return std::nullopt;
  out.port = *number;
  return out;
}

std::optional<std::string_view> mail_fault(std::string_view name, std::string_view value) {
  if (name == "mail.relay" && !parse_relay(value)) {
    return "must be a host and a port, as 'localhost:25' or '[::1]:25'";
  }
  if (name == "mail.from" && !is_plain_address(value)) {
    return "must be a mail address of letters, digits and '._+-=', as 'site1@example.org'";
  }
  return std::nullopt;
}

std::vector<std::string> sendmail_options(const PoolConfig& pool) {
  std::vector<std::string> out;
  if (!pool.mail_relay.empty()) out.push_back("--relay=" + pool.mail_relay);
  if (!pool.mail_from.empty()) out.push_back("--from=" + pool.mail_from);
  if (pool.mail_site_header) out.push_back("--site=" + pool.name);
  return out;
}

std::string sendmail_path(const std::vector<std::string>& options, std::string_view program) {
  std::string line = quoted(program) + " -t -i --no-tempfail";
  for (const std::string& option : options) line += " " + quoted(option);
  return line;
}

}  // namespace bulkhead::config
