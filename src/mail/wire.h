// Text as SMTP's DATA carries it.
//
// Runs in: bulkhead-sendmail.  Input: what the site hands in (hostile).
// Ref: RFC 5321 2.3.8, 4.5.2, 4.5.3.1.6.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace bulkhead::mail {

constexpr size_t kLineMax = 998;  // octets of a line without CRLF

// Ends lines with CRLF, doubles dots that begin a line, drops NUL, makes a bare CR a line end,
// breaks long lines with CRLF and a blank (as Postfix does).  So nothing in a message can be taken
// for SMTP.
class WireEncoder {
 public:
  using Write = std::function<bool(std::string_view)>;
  explicit WireEncoder(const Write& write) : write_(write) {}
  void add(std::string_view text);
  // Ends the last line and hands out what is left; false if `write` has refused.
  bool finish();

 private:
  void put(char c);
  void end_line();
  void flush();

  const Write& write_;
  std::string out_;
  size_t column_ = 0;
  bool had_cr_ = false, ok_ = true;
};

}  // namespace bulkhead::mail
