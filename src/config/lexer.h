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

  // The next statement.
  // Errors: `unexpected ";"`, `unexpected "{"`, `unexpected end of file, expecting ...`,
  //   `unexpected "x"` after a quoted word, `too long parameter, ...`.
  std::expected<Statement, LexError> next();
  [[nodiscard]] uint32_t line() const { return line_; }

 private:
  enum class Word1 : uint8_t { kWord, kSemicolon, kOpen, kClose, kEof };
  std::expected<Word1, LexError> token(Word* word, bool has_words);
  std::expected<Word1, LexError> quoted_word(Word* word, char quote);
  std::expected<Word1, LexError> bare_word(Word* word);
  void skip_blank();
  [[nodiscard]] std::unexpected<LexError> error(std::string text) const;
  // Undoes \" \' \\ \t \r \n; any other backslash stays.
  static std::string unescape(std::string_view raw);

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1;
};

}  // namespace bulkhead::config
