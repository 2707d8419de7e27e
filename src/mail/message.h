// A mail as a program hands it in, and as SMTP wants it.
//
// Runs in: bulkhead-sendmail, as the site's user.  Input: what the site hands in (hostile).
// Ref: RFC 5322 2.1, 2.2, 3.6; RFC 5321 2.3.8 (line ends), 4.5.2 (dots), 4.5.3.1.6 (line length).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::mail {

constexpr size_t kMessageMax = 64u << 20;  // bytes of one mail

class Message {
 public:
  // Everything is a message: what does not look like a header begins the body.  `bytes` must stay.
  // Lines end with LF or CRLF.  `dot_ends`: a line "." is the end.
  static Message parse(std::string_view bytes, bool dot_ends);

  // The value of the first field of that name, unfolded; "" when there is none.
  [[nodiscard]] std::string find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  // Adds every address of To, Cc and Bcc (of Resent-To, -Cc and -Bcc when there are such); returns
  // how many entries are no addresses.
  size_t collect_recipients(std::vector<std::string>* out) const;

  struct Stamp {
    std::string from;       // for a message without From: 'user@host' or 'Name <user@host>'
    std::string date;       // "Mon, 23 Nov 2026 15:22:00 +0000"
    std::string unique_id;  // "<...@host>"
    std::string site;       // "": X-Bulkhead-Site is not said
  };
  // Takes out what must not be sent (Bcc, Return-Path, X-Bulkhead-Site) and adds what is missing.
  void complete(const Stamp& stamp);

  // The lines of head and body as SMTP's DATA carries them, without the closing dot: CRLF, dots
  // doubled, no NUL, no bare CR, no line beyond 998 octets.  Gives pieces to `write` until that
  // returns false; false then.
  bool write_data(const std::function<bool(std::string_view)>& write) const;
  [[nodiscard]] bool is_8bit() const;

 private:
  struct Field {
    std::string_view name;
    std::string text;  // the whole field, lines ended by LF but the last
  };
  void remove(std::string_view name);

  std::vector<Field> fields_;
  std::string_view body_;
};

// RFC 5322 3.3, in local time.
std::string format_date(int64_t seconds);

}  // namespace bulkhead::mail
