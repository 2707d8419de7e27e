// The mail.* directives of a pool, and the sendmail_path they amount to.
//
// Runs in: master (checks), pool (the setting for PHP).  Input: configuration (trusted).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::config {

struct PoolConfig;

struct MailRelay {
  std::string host;  // name or address, IPv6 without its brackets
  uint16_t port = 25;
};
// "localhost", "localhost:587", "192.0.2.1:25", "[2001:db8::1]:25"; nothing for anything else.
std::optional<MailRelay> parse_relay(std::string_view text);

// What is wrong with the value of a mail.* directive; nothing when it can be used.
std::optional<std::string_view> mail_fault(std::string_view name, std::string_view value);

// The command line for PHP's sendmail_path: `program` with the pool's settings as its options,
// each quoted for the shell.  PHP's mail() takes "try again later" for "it is queued", and nothing
// is queued here: such failures are told as final ones.
std::string sendmail_path(const PoolConfig& pool, std::string_view program);

}  // namespace bulkhead::config
