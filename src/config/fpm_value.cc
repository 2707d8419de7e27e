// The value of an ini entry.
//
// Runs in: master.  Input: configuration (trusted).
#include "config/fpm_value.h"

#include <cstdint>
#include <cstdlib>

#include "config/fpm_constants.h"

namespace bulkhead::config {
namespace {

// The integer at the start of a string, wrapped as C's atoi does; 0 when there is none.
int64_t leading_integer(const std::string& text) {
  return static_cast<int32_t>(std::strtoll(text.c_str(), nullptr, 10));
}

bool is_value_char(char c) {
  return std::string_view("$= \t\n\r;&|^~()!\"'").find(c) == std::string_view::npos && c != 0;
}

}  // namespace

size_t FpmValueReader::value_run(size_t i) const {
  while (i < text_.size()) {
    if (is_value_char(text_[i])) {
      i++;
    } else if (text_[i] == '$' && at(i + 1) != '{' && i + 1 < text_.size()) {
      i += is_eol(text_[i + 1]) ? 1 : 2;
    } else {
      break;
    }
  }
  return i;
}

FpmValueReader::Token FpmValueReader::peek(size_t* end) const {
  size_t i = skip_spaces(pos_);
  char c = at(i);
  if (i >= text_.size()) return {Tok::kEnd, {}};
  if (is_eol(c) || c == ';') {
    while (i < text_.size() && !is_eol(text_[i])) i++;
    *end = i + 1;
    return {Tok::kEol, {}};
  }
  size_t run = value_run(i);
  std::string word = text_.substr(i, run - i);
  Tok kind = Tok::kString;
  if (is_true(word)) kind = Tok::kTrue;
  if (is_false(word)) kind = Tok::kFalse;
  if (is_one_of(word, "null")) kind = Tok::kNull;
  if (kind != Tok::kString) {
    *end = skip_spaces(run);
    return {kind, std::move(word)};
  }
  if (std::string_view("&|^~()!").find(c) != std::string_view::npos) {
    *end = skip_spaces(i + 1);
    return {Tok::kOperator, std::string(1, c)};
  }
  if (c == '"') return *end = i, Token{Tok::kQuote, {}};
  if (c == '=') return *end = i + 1, Token{Tok::kOther, "="};
  if (i > pos_) return *end = i, Token{Tok::kSpace, text_.substr(pos_, i - pos_)};
  if (c == '\'') return peek_raw(i, end);
  if (c == '$' && at(i + 1) == '{') return *end = i, Token{Tok::kDollarCurly, {}};
  if (run == i) return {Tok::kEnd, {}};
  *end = run;
  return {is_identifier(word) ? Tok::kConstant : Tok::kString, std::move(word)};
}

// 'text'.  Two quotes in a row end the value (and the second one starts a name); an unclosed
// quote ends the input.  Odd, and what php-fpm does.
FpmValueReader::Token FpmValueReader::peek_raw(size_t i, size_t* end) const {
  size_t close = text_.find('\'', i + 1);
  if (close == i + 1) return *end = i + 1, Token{Tok::kEol, "'"};
  if (close == std::string::npos) return *end = text_.size(), Token{Tok::kEnd, {}};
  *end = close + 1;
  return {Tok::kRaw, text_.substr(i + 1, close - i - 1)};
}

bool FpmValueReader::starts_string(Tok t) {
  return t == Tok::kConstant || t == Tok::kString || t == Tok::kSpace || t == Tok::kRaw ||
         t == Tok::kQuote || t == Tok::kDollarCurly;
}

std::string FpmValueReader::value() {
  size_t end = pos_;
  Token t = peek(&end);
  std::string out;
  switch (t.kind) {
    case Tok::kEol:
      pos_ = end;
      return out;
    case Tok::kTrue:
      pos_ = end;
      out = "1";
      break;
    case Tok::kFalse:
    case Tok::kNull:
      pos_ = end;
      break;
    default:
      out = expression(0);
      break;
  }
  if (!error_.empty()) return out;
  t = peek(&end);
  if (t.kind != Tok::kEol && t.kind != Tok::kEnd) unexpected(t);
  pos_ = t.kind == Tok::kEnd ? text_.size() : end;
  return out;
}

void FpmValueReader::unexpected(const Token& t, bool in_parentheses) {
  switch (t.kind) {
    case Tok::kEol:
      return fail("END_OF_LINE", in_parentheses ? "'^' or '|' or '&' or ')'" : "",
                  t.text == "'" ? 1 : 2);
    case Tok::kTrue:
      return fail("BOOL_TRUE");
    case Tok::kFalse:
      return fail("BOOL_FALSE");
    case Tok::kNull:
      return fail("NULL_NULL");
    case Tok::kConstant:
      return fail("TC_CONSTANT");
    case Tok::kString:
      return fail("TC_STRING");
    case Tok::kRaw:
      return fail("TC_RAW");
    case Tok::kQuote:
      return fail("'\"'");
    case Tok::kDollarCurly:
      return fail("TC_DOLLAR_CURLY");
    case Tok::kOperator:
    case Tok::kOther:
      return fail("'" + t.text + "'");
    default:
      return fail("end of file");
  }
}

// Operators bind alike and to the left, on the numbers their operands begin with.
std::string FpmValueReader::expression(int depth) {
  std::string left = operand(depth);
  while (error_.empty()) {
    size_t end = pos_;
    Token t = peek(&end);
    if (t.kind != Tok::kOperator || (t.text != "|" && t.text != "&" && t.text != "^")) break;
    pos_ = end;
    std::string right = operand(depth);
    int64_t a = leading_integer(left);
    int64_t b = leading_integer(right);
    left = std::to_string(t.text == "|" ? (a | b) : t.text == "&" ? (a & b) : (a ^ b));
  }
  return left;
}

std::string FpmValueReader::operand(int depth) {
  constexpr int kDepthMax = 64;  // parentheses and prefixes within one value
  size_t end = pos_;
  Token t = peek(&end);
  if (depth > kDepthMax) return fail("memory exhausted"), std::string();
  if (t.kind == Tok::kOperator && (t.text == "~" || t.text == "!")) {
    pos_ = end;
    int64_t v = leading_integer(operand(depth + 1));
    return std::to_string(t.text == "~" ? ~v : static_cast<int64_t>(v == 0));
  }
  if (t.kind == Tok::kOperator && t.text == "(") {
    pos_ = end;
    std::string inner = expression(depth + 1);
    if (!error_.empty()) return inner;
    t = peek(&end);
    if (t.kind != Tok::kOperator || t.text != ")") return unexpected(t, true), inner;
    pos_ = end;
    return inner;
  }
  if (!starts_string(t.kind)) return unexpected(t), std::string();
  return string_list();
}

std::string FpmValueReader::string_list() {
  std::string out;
  while (error_.empty()) {
    size_t end = pos_;
    Token t = peek(&end);
    if (!starts_string(t.kind)) break;
    pos_ = end;
    if (t.kind == Tok::kQuote) {
      out += double_quoted();
      pos_ = skip_spaces(pos_);
    } else if (t.kind == Tok::kDollarCurly) {
      out += variable();
    } else if (t.kind == Tok::kConstant) {
      out += fpm_constant(t.text).value_or(t.text);
    } else {
      out += t.text;
    }
  }
  return out;
}

}  // namespace bulkhead::config
