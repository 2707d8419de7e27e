// See smtp.h.
#include "mail/smtp.h"

#include <algorithm>
#include <optional>

#include "mail/address.h"
#include "mail/smtp_link.h"

namespace bulkhead::mail {
namespace {

using std::chrono::minutes;

constexpr size_t kRecipientsAtOnce = 100;  // RFC 5321 4.5.3.1.8: every server takes so many

// RFC 5321 4.5.3.2.
constexpr minutes kGreeting{5}, kCommand{5}, kRecipient{5}, kDataStart{2}, kDataBlock{3},
    kDataEnd{10};

class Session {
 public:
  explicit Session(const Submission& what) : what_(what), link_(what.timeout_max) {}

  Delivery run() {
    if (!begin()) return std::move(result_);
    bool is_any_sent = false;
    for (size_t at = 0; at < what_.recipients.size() && is_usable_; at += kRecipientsAtOnce) {
      const size_t end = std::min(at + kRecipientsAtOnce, what_.recipients.size());
      is_any_sent = transaction(at, end) || is_any_sent;
    }
    if (is_usable_ && link_.write("QUIT\r\n", kCommand)) (void)reply(kCommand);
    if (is_any_sent) result_.outcome = Outcome::kSent;
    return std::move(result_);
  }

 private:
  bool problem(Outcome outcome, const std::string& text) {
    // A refusal that may pass is not the last word on a mail that was refused for good.
    if (result_.outcome != Outcome::kRefused) result_.outcome = outcome;
    result_.problems.push_back(text);
    return false;
  }
  bool refused(std::string_view step, const Reply& reply) {
    return problem(reply.is_transient() ? Outcome::kTransient : Outcome::kRefused,
                   "the relay refused " + std::string(step) + ": " + reply.describe());
  }

  std::optional<Reply> reply(std::chrono::milliseconds wait) {
    Reply out;
    switch (link_.read_reply(&out, wait)) {
      case SmtpLink::Read::kReply:
        return out;
      case SmtpLink::Read::kBroken:
        problem(Outcome::kProtocol, "the relay's answer is no SMTP");
        break;
      case SmtpLink::Read::kClosed:
        problem(Outcome::kTransient, "the relay closed the connection: " + link_.error());
        break;
    }
    is_usable_ = false;
    return std::nullopt;
  }

  std::optional<Reply> ask(const std::string& command, std::chrono::milliseconds wait) {
    // What the relay said before it hung up tells more than the failed write.
    (void)link_.write(command + "\r\n", wait);
    return reply(wait);
  }

  bool begin() {
    if (auto connected = link_.connect(what_.relay_host, what_.relay_port); !connected) {
      const bool is_unknown = connected.error().errno_value == 0;
      return problem(is_unknown ? Outcome::kNoHost : Outcome::kTransient,
                     connected.error().describe());
    }
    auto greeting = reply(kGreeting);
    if (!greeting) return false;
    if (greeting->code / 100 != 2) return refused("us", *greeting);
    const std::string name = what_.hello.empty() ? link_.own_literal() : what_.hello;
    auto hello = ask("EHLO " + name, kCommand);
    if (!hello) return false;
    if (hello->code / 100 == 2) {
      can_ = read_capabilities(hello->text);
      return true;
    }
    hello = ask("HELO " + name, kCommand);
    if (!hello) return false;
    return hello->code / 100 == 2 || refused("our name", *hello);
  }

  std::string mail_command(uint64_t bytes, bool needs_utf8) const {
    std::string command = "MAIL FROM:<" + what_.sender + ">";
    if (can_.has_size) command += " SIZE=" + std::to_string(bytes);
    if (can_.eight_bit && what_.message->is_8bit()) command += " BODY=8BITMIME";
    if (needs_utf8) command += " SMTPUTF8";
    return command;
  }

  [[nodiscard]] bool needs_utf8(size_t from, size_t end) const {
    return !is_ascii(what_.sender) ||
           std::any_of(what_.recipients.begin() + static_cast<ptrdiff_t>(from),
                       what_.recipients.begin() + static_cast<ptrdiff_t>(end),
                       [](const std::string& r) { return !is_ascii(r); });
  }

  // True: the mail was taken for at least one recipient.
  bool transaction(size_t from, size_t end) {
    const bool utf8 = needs_utf8(from, end);
    if (utf8 && !can_.utf8) {
      return problem(Outcome::kRefused, "an address is not ASCII and the relay has no SMTPUTF8");
    }
    uint64_t bytes = 0;
    (void)what_.message->write_data([&bytes](std::string_view piece) {
      bytes += piece.size();
      return true;
    });
    if (can_.size_max != 0 && bytes > can_.size_max) {
      return problem(Outcome::kRefused, "the mail has " + std::to_string(bytes) +
                                            " bytes, the relay takes " +
                                            std::to_string(can_.size_max));
    }
    auto mail = ask(mail_command(bytes, utf8), kCommand);
    if (!mail) return false;
    if (!mail->is_positive()) return refused("the sender <" + what_.sender + ">", *mail);
    size_t taken = 0;
    for (size_t i = from; i < end; ++i) {
      auto answer = ask("RCPT TO:<" + what_.recipients[i] + ">", kRecipient);
      if (!answer) return false;
      if (answer->is_positive()) {
        ++taken;
      } else {
        refused("the recipient <" + what_.recipients[i] + ">", *answer);
      }
    }
    if (taken != 0) return send_data();
    return ask("RSET", kCommand) && false;
  }

  bool send_data() {
    auto start = ask("DATA", kDataStart);
    if (!start) return false;
    if (start->code != 354) return refused("to take the mail", *start);
    const bool written = what_.message->write_data(
        [this](std::string_view piece) { return link_.write(piece, kDataBlock); });
    if (written) (void)link_.write(".\r\n", kDataBlock);
    // Without the closing dot nothing was handed in, whatever the relay says.
    auto done = reply(kDataEnd);
    if (!written) is_usable_ = false;
    if (!done) return false;
    if (!written || done->code / 100 != 2) return refused("the mail", *done);
    return true;
  }

  const Submission& what_;
  SmtpLink link_;
  Capabilities can_;
  Delivery result_;
  bool is_usable_ = true;
};

}  // namespace

Delivery submit(const Submission& what) { return Session(what).run(); }

}  // namespace bulkhead::mail
