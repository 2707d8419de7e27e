// The connection to a relay: every wait is bounded.
//
// Runs in: bulkhead-sendmail.  Input: the relay's bytes.  Blocks: as its callers say.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mail/smtp_reply.h"
#include "sys/fd.h"

namespace bulkhead::mail {

class SmtpLink {
 public:
  using Wait = std::chrono::milliseconds;
  explicit SmtpLink(Wait longest) : longest_(longest) {}

  // Tries every address of the host.  Errors: an errno of connect(), or 0: the name has no address.
  Status connect(const std::string& host, uint16_t port);
  // All of it.  False: see error().
  bool write(std::string_view bytes, Wait wait);
  enum class Read : uint8_t { kReply, kBroken, kClosed };
  Read read_reply(Reply* out, Wait wait);
  [[nodiscard]] const std::string& error() const { return error_; }
  // "[127.0.0.1]" or "[IPv6:::1]", RFC 5321 4.1.3: our end.
  [[nodiscard]] std::string own_literal() const;

 private:
  using Clock = std::chrono::steady_clock;
  // Waits for `events` of poll(2) until `end`; false when the time is over.
  bool wait_for(short events, Clock::time_point end);
  Status try_address(std::string_view sockaddr);
  bool fail_with(std::string text);

  Wait longest_;
  sys::Fd fd_;
  ReplyReader reader_;
  std::string unread_, error_;
};

}  // namespace bulkhead::mail
