// See screen.h.  Ref: ECMA-48 (CSI sequences), xterm's alternate screen (DECSET 1049).
#include "top/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "sys/files.h"

namespace bulkhead::top {
namespace {

constexpr sys::FdRef kIn(0), kOut(1);
constexpr char kEscape = '\033';
constexpr size_t kSequenceMax = 8;

struct Sequence {
  std::string_view bytes;
  Key key;
};
constexpr Sequence kSequences[] = {
    {"\033[A", Key::kUp},   {"\033OA", Key::kUp},      {"\033[B", Key::kDown},
    {"\033OB", Key::kDown}, {"\033[5~", Key::kPageUp}, {"\033[6~", Key::kPageDown},
    {"\033[H", Key::kHome}, {"\033[1~", Key::kHome},   {"\033OH", Key::kHome},
    {"\033[F", Key::kEnd},  {"\033[4~", Key::kEnd},    {"\033OF", Key::kEnd}};

// How many bytes an escape sequence has that begins here; 0: it is not complete.
size_t sequence_length(std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] == 'O') return bytes.size() < 3 ? 0 : 3;
  if (bytes[1] != '[') return 1;  // Escape, then another key
  for (size_t i = 2; i < bytes.size(); ++i) {
    if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
  }
  return bytes.size() > kSequenceMax ? bytes.size() : 0;
}

Press press_of(std::string_view bytes) {
  if (bytes.size() == 1) {
    const char c = bytes[0];
    if (c == kEscape) return {Key::kEscape, 0};
    if (c == '\r' || c == '\n') return {Key::kEnter, 0};
    if (c == 0x7f || c == '\b') return {Key::kErase, 0};
    if (c >= 0x20 && c < 0x7f) return {Key::kChar, c};
    return {};
  }
  for (const Sequence& one : kSequences) {
    if (one.bytes == bytes) return {one.key, 0};
  }
  return {};
}

const char* style_of(Screen::Line::Style style) {
  switch (style) {
    case Screen::Line::Style::kBold:
      return "\033[1m";
    case Screen::Line::Style::kInverse:
      return "\033[7m";
    case Screen::Line::Style::kRed:
      return "\033[31m";
    case Screen::Line::Style::kPlain:
      break;
  }
  return "";
}

}  // namespace

std::vector<Press> KeyReader::read(std::string_view bytes) {
  rest_ += bytes;
  std::vector<Press> out;
  size_t at = 0;
  while (at < rest_.size()) {
    const std::string_view left = std::string_view(rest_).substr(at);
    const size_t length = left[0] == kEscape ? sequence_length(left) : 1;
    if (length == 0) break;
    if (Press press = press_of(left.substr(0, length)); press.key != Key::kNone) {
      out.push_back(press);
    }
    at += length;
  }
  rest_.erase(0, at);
  return out;
}

std::vector<Press> KeyReader::flush() {
  if (rest_.empty()) return {};
  rest_.clear();
  return {{Key::kEscape, 0}};
}

Result<std::unique_ptr<Screen>> Screen::create() {
  const char* kind = std::getenv("TERM");
  if (::isatty(0) == 0 || ::isatty(1) == 0) return fail("this is no terminal");
  if (kind == nullptr || *kind == '\0' || std::strcmp(kind, "dumb") == 0) {
    return fail("this terminal cannot be drawn on (TERM is not set)");
  }
  auto screen = std::unique_ptr<Screen>(new Screen());
  if (::tcgetattr(0, &screen->before_) < 0) return fail_errno("tcgetattr() failed");
  screen->enter();
  return screen;
}

Screen::~Screen() { leave(); }

void Screen::enter() {
  if (std::exchange(in_, true)) return;
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(0, TCSADRAIN, &keys);
  sys::write_all(kOut, "\033[?1049h\033[?25l\033[2J");
}

void Screen::leave() {
  if (!std::exchange(in_, false)) return;
  sys::write_all(kOut, "\033[0m\033[?25h\033[?1049l");
  ::tcsetattr(0, TCSADRAIN, &before_);
}

Screen::Size Screen::size() const {
  winsize size{};
  if (::ioctl(kOut.get(), TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

void Screen::show(const std::vector<Line>& lines) {
  if (!in_) return;
  const Size size = this->size();
  std::string out = "\033[H";
  for (size_t row = 0; row < size.rows; ++row) {
    if (row > 0) out += "\r\n";
    if (row < lines.size()) {
      out += style_of(lines[row].style);
      out += lines[row].text.substr(0, size.columns);
      out += "\033[0m";
    }
    out += "\033[K";
  }
  sys::write_all(kOut, out);
}

}  // namespace bulkhead::top
