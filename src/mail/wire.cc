// See wire.h.
#include "mail/wire.h"

namespace bulkhead::mail {
namespace {
constexpr size_t kPiece = 64 * 1024;

bool is_utf8_tail(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
}  // namespace

void WireEncoder::flush() {
  if (ok_ && !out_.empty()) ok_ = write_(out_);
  out_.clear();
}

void WireEncoder::end_line() {
  out_ += "\r\n";
  column_ = 0;
  if (out_.size() >= kPiece) flush();
}

void WireEncoder::put(char c) {
  // Not within a character, if the line can hold its rest (four octets at most).
  if (column_ >= kLineMax || (column_ >= kLineMax - 4 && !is_utf8_tail(c))) {
    end_line();
    out_ += ' ';
    column_ = 1;
  }
  if (column_ == 0 && c == '.') out_ += '.';
  out_ += c;
  ++column_;
}

void WireEncoder::add(std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      end_line();
      had_cr_ = false;
      continue;
    }
    // Several CR before an LF are one line end; a bare one is a line end of its own.
    if (c == '\r') {
      had_cr_ = true;
      continue;
    }
    if (had_cr_) end_line();
    had_cr_ = false;
    if (c != '\0') put(c);
  }
}

bool WireEncoder::finish() {
  if (column_ != 0 || had_cr_) end_line();
  had_cr_ = false;
  flush();
  return ok_;
}

}  // namespace bulkhead::mail
