// What an SMTP server answers.
//
// Runs in: bulkhead-sendmail.  Input: the relay's bytes (not trusted: bounded and checked).
// Ref: RFC 5321 4.2 (replies), 4.1.1.1 (EHLO); RFC 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead::mail {

struct Reply {
  int code = 0;      // 200..599
  std::string text;  // lines joined with LF, without codes
  [[nodiscard]] bool is_positive() const { return code / 100 == 2 || code / 100 == 3; }
  [[nodiscard]] bool is_transient() const { return code / 100 == 4; }
  // "550 5.1.1 no such user", one printable line.
  [[nodiscard]] std::string describe() const;
};

class ReplyReader {
 public:
  enum class Step : uint8_t { kMore, kDone, kBroken };
  // Takes bytes up to the end of one reply; `used` says how many.
  Step feed(std::string_view bytes, size_t* used);
  // The reply; the reader is ready for the next one.
  Reply take();

 private:
  Step end_line();
  std::string line_;
  Reply reply_;
  size_t lines_ = 0;
};

struct Capabilities {
  bool eight_bit = false, utf8 = false, has_size = false;
  uint64_t size_max = 0;  // 0: no limit is told
};
// From the text of an EHLO reply.
Capabilities read_capabilities(std::string_view text);

}  // namespace bulkhead::mail
