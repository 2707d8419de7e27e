// The mail.* directives of a pool, and the sendmail_path they amount to.
//
// Runs in: master (checks), pool (the setting for PHP).  Input: configuration (trusted).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::config {

struct PoolConfig;

// Where a site's view has its sendmail: the program, and sendmail_options() a word a line.
constexpr const char* kMailPlace = "/run/bulkhead-mail";
constexpr const char* kMailProgram = "/run/bulkhead-mail/sendmail";
constexpr const char* kMailOptions = "/run/bulkhead-mail/options";

struct MailRelay {
  std::string host;  // name or address, IPv6 without its brackets
  uint16_t port = 25;
};
// "localhost", "localhost:587", "192.0.2.1:25", "[2001:db8::1]:25"; nothing for anything else.
std::optional<MailRelay> parse_relay(std::string_view text);

// What is wrong with the value of a mail.* directive; nothing when it can be used.
std::optional<std::string_view> mail_fault(std::string_view name, std::string_view value);

// The pool's settings as options of bulkhead-sendmail, unquoted.
std::vector<std::string> sendmail_options(const PoolConfig& pool);

// The command line for PHP's sendmail_path: `program` with `options`, each quoted for the shell.
// PHP's mail() takes "try again later" for "it is queued", and nothing is queued here: such
// failures are told as final ones.
std::string sendmail_path(const std::vector<std::string>& options, std::string_view program);

}  // namespace bulkhead::config
