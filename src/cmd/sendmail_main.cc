// bulkhead-sendmail: sendmail's command line in front of a plain SMTP relay.
//
// Runs in: a site, as its user, called by PHP's mail() or any program (no setgid, so it works under
// no_new_privs; no queue, so a mail is handed in or refused before it ends).
// Input: a mail on standard input and flags, both the site's (hostile); the relay's replies.
// Exit codes: sysexits.h.  Ref: sendmail(8), Postfix sendmail(1) 3.7.
#include <pwd.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "config/pool_mail.h"
#include "mail/address.h"
#include "mail/message.h"
#include "mail/options.h"
#include "mail/smtp.h"

namespace {

namespace mail = bulkhead::mail;

constexpr const char* kUsage =
    "Usage: bulkhead-sendmail [-t] [-i] [-f SENDER] [-F NAME] [--relay=HOST:PORT]\n"
    "         [--from=SENDER] [--site=NAME] [--no-tempfail] [--timeout=SECONDS] [RECIPIENT ...]\n"
    "Reads a mail from standard input and hands it to the relay (localhost:25) by SMTP.\n";

int complain(int code, const std::string& text) {
  std::fprintf(stderr, "bulkhead-sendmail: %s\n", text.c_str());
  return code;
}

// Standard input as a whole; false when it cannot be read or is too large.
bool read_mail(std::string* out) {
  char part[64 * 1024];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    if (out->size() + static_cast<size_t>(n) > mail::kMessageMax) {
      errno = EFBIG;
      return false;
    }
    out->append(part, static_cast<size_t>(n));
  }
}

// What the site's pool says about its mail, a word a line; nothing outside a view.
std::vector<std::string> site_options() {
  std::vector<std::string> words;
  std::ifstream file(bulkhead::config::kMailOptions);
  for (std::string line; std::getline(file, line);) words.push_back(line);
  return words;
}

std::string host_name() {
  char name[256] = "localhost";
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  const std::string host(name);
  const bool is_plain = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return ::isalnum(c) != 0 || c == '-' || c == '.';
  });
  return is_plain && !host.empty() ? host : "localhost";
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::geteuid());
  const std::string name = entry != nullptr ? entry->pw_name : "";
  return !name.empty() && mail::is_address(name) ? name : "uid" + std::to_string(::geteuid());
}

std::string unique_id(const std::string& host) {
  uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = 0;
  char text[64];
  std::snprintf(text, sizeof text, "<%llx.%x.%016llx@", static_cast<unsigned long long>(::time({})),
                static_cast<unsigned>(::getpid()), static_cast<unsigned long long>(random));
  return text + host + ">";
}

// `Name <address>`, the name quoted as RFC 5322 3.2.4 has it.
std::string from_field(const std::string& name, const std::string& address) {
  if (name.empty()) return address;
  std::string quoted = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) quoted += c;
  }
  return quoted + "\" <" + address + ">";
}

int exit_code(const mail::Delivery& delivery, bool hard_failures) {
  switch (delivery.outcome) {
    case mail::Outcome::kSent:
      return EX_OK;
    case mail::Outcome::kTransient:
      return hard_failures ? EX_UNAVAILABLE : EX_TEMPFAIL;
    case mail::Outcome::kRefused:
      return EX_UNAVAILABLE;
    case mail::Outcome::kNoHost:
      return EX_NOHOST;
    case mail::Outcome::kProtocol:
      return EX_PROTOCOL;
  }
  return EX_SOFTWARE;
}

int send(const mail::Options& options) {
  const auto relay = bulkhead::config::parse_relay(options.relay);
  if (!relay) return complain(EX_USAGE, "'" + options.relay + "' is not HOST:PORT (--relay)");
  std::string bytes;
  if (!read_mail(&bytes))
    return complain(EX_IOERR, "cannot read the mail: it is too large or broken");
  mail::Message message = mail::Message::parse(bytes, !options.dot_is_text);
  mail::Submission what;
  what.recipients = options.recipients;
  if (options.recipients_from_headers && message.collect_recipients(&what.recipients) != 0) {
    (void)complain(EX_OK, "a recipient in the mail's header is no address and was left out");
  }
  std::sort(what.recipients.begin(), what.recipients.end());
  what.recipients.erase(std::unique(what.recipients.begin(), what.recipients.end()),
                        what.recipients.end());
  if (what.recipients.empty()) return complain(EX_USAGE, "the mail has no recipient");
  const std::string host = host_name();
  const std::string own = options.from.empty() ? user_name() + "@" + host : options.from;
  what.sender = options.has_sender ? options.sender : own;
  const std::string& author = what.sender.empty() ? own : what.sender;
  message.complete({from_field(options.full_name, author), mail::format_date(::time({})),
                    unique_id(host), options.site});
  what.relay_host = relay->host;
  what.relay_port = relay->port;
  if (host.find('.') != std::string::npos) what.hello = host;
  what.message = &message;
  what.timeout_max = options.timeout_max;
  const mail::Delivery delivery = mail::submit(what);
  for (const std::string& problem : delivery.problems) (void)complain(EX_OK, problem);
  return exit_code(delivery, options.hard_failures);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words = site_options();
  words.insert(words.end(), argv + 1, argv + argc);
  auto options = mail::parse_options(words);
  if (!options) return complain(EX_USAGE, options.error().describe());
  switch (options->mode) {
    case mail::Options::Mode::kHelp:
      std::fputs(kUsage, stdout);
      return EX_OK;
    case mail::Options::Mode::kVersion:
      std::printf("bulkhead-sendmail %s\n", BH_VERSION);
      return EX_OK;
    case mail::Options::Mode::kQueue:
      std::puts("Mail queue is empty");
      return EX_OK;
    case mail::Options::Mode::kSend:
      break;
  }
  return send(*options);
}
