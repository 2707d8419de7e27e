// The value of an ini entry: words, quotes, constants, ${NAME} and the operators | & ^ ~ ! ( ).
//
// Runs in: master.  Input: configuration (trusted).  Private to the php-fpm language.
#pragma once

#include <string>

#include "config/fpm_scanner.h"

namespace bulkhead::config {

class FpmValueReader : protected FpmScanner {
 protected:
  using FpmScanner::FpmScanner;
  // Reads up to the end of the value, pos_ at its first byte; moves pos_ past it.
  std::string value();

 private:
  enum class Tok {
    kEnd,
    kEol,
    kTrue,
    kFalse,
    kNull,
    kConstant,
    kString,
    kSpace,
    kRaw,
    kQuote,
    kDollarCurly,
    kOperator,
    kOther,
  };
  struct Token {
    Tok kind = Tok::kEnd;
    std::string text;
  };

  static bool starts_string(Tok t);
  // The maximal run of value characters at i; a '$' not followed by '{' takes the next byte along.
  [[nodiscard]] size_t value_run(size_t i) const;
  // Looks at the next token without taking it; `end` is where it ends.
  Token peek(size_t* end) const;
  Token peek_raw(size_t i, size_t* end) const;
  void unexpected(const Token& t, bool in_parentheses = false);
  std::string expression(int depth);
  std::string operand(int depth);
  std::string string_list();
};

}  // namespace bulkhead::config
