// Splits nginx configuration text into statements: words, then ';', '{' or '}'.
//
// Runs in: master (and `bulkhead -t`).  Input: configuration (trusted), but any bytes are survived.
// Ref: nginx 1.22, observed behaviour of `nginx -t`.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/ast.h"

namespace bulkhead::config {

// nginx's own limit on one word, quotes included.
constexpr size_t kWordBytesMax = 4096;

// A lexical error: nginx's text, and the line it was noticed on.
struct LexError {
  std::string text;
  uint32_t line = 0;
};

struct Statement {
  enum class End : uint8_t { kSemicolon, kOpen /* '{' */, kClose /* '}' */, kEof } end = End::kEof;
  std::vector<Word> words;  // empty for kClose and kEof
  uint32_t line = 0;        // of the terminator: the line nginx reports
};

// Pull lexer over one file.  The text must outlive it.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // The next statement.  `depth` > 0 says that a block is open (only for the wording at the end).
  // Errors: `unexpected ";"`, `unexpected "{"`, `unexpected end of file, expecting ...`,
  //   `unexpected "x"` after a quoted word, `too long parameter, ...`.
  std::expected<Statement, LexError> next(bool block_is_open);
  [[nodiscard]] uint32_t line() const { return line_; }

 private:
  struct Scanned;
  void skip_blank();
  std::expected<Word, LexError> quoted_word(char quote);
  std::expected<Word, LexError> bare_word();
  std::expected<void, LexError> append_escape(std::string* word);
  std::unexpected<LexError> error(std::string text) const;
  std::unexpected<LexError> too_long(const Word& word, uint32_t start_line) const;

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1;
};

}  // namespace bulkhead::config
