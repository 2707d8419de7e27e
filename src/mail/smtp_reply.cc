// See smtp_reply.h.
#include "mail/smtp_reply.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace bulkhead::mail {
namespace {

constexpr size_t kLineMax = 4096;  // RFC 5321 4.5.3.1.5 says 512; some say more
constexpr size_t kLinesMax = 256;
constexpr size_t kTextShown = 500;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Reply::describe() const {
  std::string out = std::to_string(code) + " " + text.substr(0, kTextShown);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

ReplyReader::Step ReplyReader::feed(std::string_view bytes, size_t* used) {
  for (*used = 0; *used < bytes.size();) {
    const char c = bytes[(*used)++];
    if (c != '\n') {
      line_ += c;
      if (line_.size() > kLineMax) return Step::kBroken;
      continue;
    }
    const Step step = end_line();
    if (step != Step::kMore) return step;
  }
  return Step::kMore;
}

// "250-text" goes on, "250 text" and "250" end the reply; all lines have one code.
ReplyReader::Step ReplyReader::end_line() {
  while (line_.ends_with('\r')) line_.pop_back();
  const std::string line = std::exchange(line_, "");
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) ||
      !is_digit(line[2])) {
    return Step::kBroken;
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return Step::kBroken;
  if ((lines_ != 0 && code != reply_.code) || ++lines_ > kLinesMax) return Step::kBroken;
  reply_.code = code;
  if (lines_ > 1) reply_.text += '\n';
  if (line.size() > 4) reply_.text += line.substr(4);
  return line.size() > 3 && line[3] == '-' ? Step::kMore : Step::kDone;
}

Reply ReplyReader::take() {
  lines_ = 0;
  return std::exchange(reply_, {});
}

Capabilities read_capabilities(std::string_view text) {
  Capabilities out;
  // The first line is the server's name.
  for (size_t at = text.find('\n'); at != std::string_view::npos;) {
    const size_t next = text.find('\n', at + 1);
    const std::string_view line = text.substr(
        at + 1, next == std::string_view::npos ? std::string_view::npos : next - at - 1);
    at = next;
    const size_t space = std::min(line.find(' '), line.size());
    auto is = [word = line.substr(0, space)](std::string_view name) {
      return word.size() == name.size() &&
             ::strncasecmp(word.data(), name.data(), name.size()) == 0;
    };
    if (is("8BITMIME")) out.eight_bit = true;
    if (is("SMTPUTF8")) out.utf8 = true;
    if (is("SIZE")) {
      out.has_size = true;
      const std::string_view value = line.substr(std::min(space + 1, line.size()));
      std::from_chars(value.data(), value.data() + value.size(), out.size_max);
    }
  }
  return out;
}

}  // namespace bulkhead::mail
