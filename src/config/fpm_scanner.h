// The parts of PHP's ini scanner that names and values share: position, quotes, ${NAME}, errors.
//
// Runs in: master.  Input: configuration (trusted).  Private to the php-fpm language.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::config {

// Walks one line; after the first failure the step in hand returns and the line is given up.
class FpmScanner {
 protected:
  // `line` without its newline, which is added here: php-fpm scans it too.
  explicit FpmScanner(std::string_view line) : text_(line) { text_ += '\n'; }

  static bool is_space(char c) { return c == ' ' || c == '\t'; }
  static bool is_eol(char c) { return c == '\n' || c == '\r'; }
  static bool is_label_char(char c);
  // A word that may be a constant's name.
  static bool is_identifier(std::string_view word);
  // Whether `word` is one of `list`, in any case ("true on yes").
  static bool is_one_of(std::string_view word, std::string_view list);
  static bool is_true(std::string_view word) { return is_one_of(word, "true on yes"); }
  static bool is_false(std::string_view word) { return is_one_of(word, "false off no none"); }

  [[nodiscard]] char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  [[nodiscard]] size_t skip_spaces(size_t i) const;
  void fail(std::string_view unexpected, std::string_view expecting = {}, int line = 1);

  // "text", pos_ at the opening quote.
  std::string double_quoted();
  // ${NAME}, pos_ at the dollar: the environment variable's value, or nothing.
  std::string variable();

  std::string text_;
  size_t pos_ = 0;
  std::string error_;
};

}  // namespace bulkhead::config
