// The person's terminal: one picture after the other on it, keys from it, and as it was afterwards.
//
// Runs in: bulkhead.  Input: keys of the person.
#pragma once

#include <termios.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::top {

enum class Key : uint8_t {
  kNone,
  kChar,
  kUp,
  kDown,
  kPageUp,
  kPageDown,
  kHome,
  kEnd,
  kEscape,
  kEnter,
  kErase
};
struct Press {
  Key key = Key::kNone;
  char character = 0;  // kChar
};

// Keys out of bytes: arrows come as several; what is cut off waits for the rest.
class KeyReader {
 public:
  std::vector<Press> read(std::string_view bytes);
  // Nothing came after an escape: it was the key.
  std::vector<Press> flush();
  [[nodiscard]] bool has_rest() const { return !rest_.empty(); }

 private:
  std::string rest_;
};

// Until destroyed: the alternate screen, keys without Enter.  Ctrl-C stays a signal.
class Screen {
 public:
  // Errors: standard input and output are no terminal.
  static Result<std::unique_ptr<Screen>> create();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Gives the terminal back, and takes it again (Ctrl-Z, fg).
  void leave();
  void enter();
  struct Size {
    size_t columns = 80, rows = 24;
  };
  [[nodiscard]] Size size() const;
  struct Line {
    std::string text;
    enum class Style : uint8_t { kPlain, kBold, kInverse, kRed } style = Style::kPlain;
  };
  // Replaces the picture; lines beyond the screen are left out.
  void show(const std::vector<Line>& lines);

 private:
  Screen() = default;
  termios before_{};
  bool in_ = false;
};

}  // namespace bulkhead::top
