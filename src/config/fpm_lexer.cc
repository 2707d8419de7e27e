// One line of the php-fpm language, read as PHP's ini scanner reads it.
//
// Runs in: master.  Input: configuration (trusted).
#include "config/fpm_lexer.h"

#include <cstdint>
#include <cstdlib>

#include "config/fpm_constants.h"

namespace bulkhead::config {
namespace {

enum class Tok {
  kEnd,
  kEol,
  kSection,
  kOffset,
  kLabel,
  kAssign,
  kTrue,
  kFalse,
  kNull,
  kConstant,
  kNumber,
  kString,
  kSpace,
  kRaw,
  kQuote,
  kDollarCurly,
  kOperator,
  kOther,
};

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_eol(char c) { return c == '\n' || c == '\r'; }

bool equals_word(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    char c = a[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c != lower[i]) return false;
  }
  return true;
}

// The integer at the start of a string, wrapped as C's atoi does; 0 when there is none.
int64_t leading_integer(const std::string& text) {
  return static_cast<int32_t>(std::strtoll(text.c_str(), nullptr, 10));
}

// Recursive descent over one line.  After `error_` is set every step returns at once.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : text_(line) { text_ += '\n'; }

  FpmLine run() {
    while (pos_ < text_.size() && error_.empty()) statement();
    out_.syntax_error = error_;
    return std::move(out_);
  }

 private:
  struct Token {
    Tok kind = Tok::kEnd;
    std::string text;
  };

  [[nodiscard]] char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  size_t skip_spaces(size_t i) const {
    while (is_space(at(i))) i++;
    return i;
  }

  void fail(std::string_view unexpected, std::string_view expecting = {}, int line = 1) {
    if (!error_.empty()) return;
    error_ = "syntax error, unexpected ";
    error_ += unexpected;
    if (!expecting.empty()) (error_ += ", expecting ") += expecting;
    error_ += " in Unknown on line ";
    error_ += std::to_string(line);
  }

  // ---- outside values ---------------------------------------------------------------------------
  void statement() {
    if (at(pos_) == '[') return section();
    size_t i = skip_spaces(pos_);
    if (at(i) == ';') {
      while (i < text_.size() && !is_eol(text_[i])) i++;
    }
    if (i >= text_.size() || is_eol(text_[i])) {
      pos_ = i + 1;
      return;
    }
    label(i);
  }

  static bool is_label_char(char c) {
    return std::string_view("=\n\r;&|^$~(){}!\"[").find(c) == std::string_view::npos;
  }

  void label(size_t i) {
    size_t end = i;
    while (end < text_.size() && is_label_char(text_[end])) end++;
    size_t trimmed = end;
    while (trimmed > i && is_space(text_[trimmed - 1])) trimmed--;
    std::string name = text_.substr(i, trimmed - i);
    if (name.empty()) {
      if (at(end) == '[') return fail_lone_bracket(end);
      return fail(quoted(at(end)));
    }
    if (equals_word(name, "true") || equals_word(name, "on") || equals_word(name, "yes"))
      return fail("BOOL_TRUE");
    if (equals_word(name, "false") || equals_word(name, "off") || equals_word(name, "no") ||
        equals_word(name, "none"))
      return fail("BOOL_FALSE");
    if (equals_word(name, "null")) return fail("NULL_NULL");
    pos_ = end;
    if (at(end) == '[') return array(std::move(name));
    FpmStatement s;
    s.name = std::move(name);
    if (at(end) == '=') {
      pos_ = skip_spaces(end + 1);
      s.value = value();
      if (!error_.empty()) return;
      out_.statements.push_back(std::move(s));
      return;
    }
    out_.statements.push_back(std::move(s));  // no `=`: a name without value
    if (at(end) == ';' || is_eol(at(end))) return;
    fail(quoted(at(end)));
  }

  // "  [c]": php-fpm reads an offset of a nameless array and then misses its `=`.
  void fail_lone_bracket(size_t bracket) {
    pos_ = bracket + 1;
    std::string ignored = bracketed();
    if (error_.empty()) expect_assign();
  }

  static std::string quoted(char c) {
    if (is_eol(c)) return "END_OF_LINE";
    return std::string("'") + c + "'";
  }

  void section() {
    pos_++;
    FpmStatement s;
    s.kind = FpmStatement::Kind::kSection;
    in_section_ = true;
    s.name = bracketed();
    in_section_ = false;
    if (error_.empty()) out_.statements.push_back(std::move(s));
  }

  void array(std::string name) {
    pos_ = skip_spaces(pos_ + 1);
    FpmStatement s;
    s.kind = FpmStatement::Kind::kArray;
    s.name = std::move(name);
    s.offset = bracketed();
    if (!error_.empty() || !expect_assign()) return;
    s.value = value();
    if (error_.empty()) out_.statements.push_back(std::move(s));
  }

  bool expect_assign() {
    size_t i = skip_spaces(pos_);
    if (at(i) == '=') {
      pos_ = skip_spaces(i + 1);
      return true;
    }
    if (is_eol(at(i)) || at(i) == ';') {
      fail("END_OF_LINE", "'='", 2);
    } else if (at(i) == '[') {
      fail("TC_SECTION", "'='");
    } else {
      fail("TC_LABEL", "'='");
    }
    return false;
  }

  // The text up to ']', where quotes group and ${NAME} is replaced.  pos_ moves past the ']'.
  std::string bracketed() {
    std::string out;
    std::string word;
    bool only_word = true;
    while (error_.empty()) {
      char c = at(pos_);
      if (c == ']') {
        pos_++;
        break;
      }
      if (c == '"') {
        out += double_quoted();
        only_word = false;
      } else if (c == '\'') {
        size_t close = text_.find('\'', pos_ + 1);
        if (close == std::string::npos) return fail("end of file", "']'"), out;
        out.append(text_, pos_ + 1, close - pos_ - 1);
        pos_ = close + 1;
        only_word = false;
      } else if (c == '$' && at(pos_ + 1) == '{') {
        out += variable();
        only_word = false;
      } else if (pos_ >= text_.size() || is_eol(c) || c == ';') {
        return fail("end of file", "']'"), out;
      } else if (c == '\\' && pos_ + 1 < text_.size()) {  // hides the next byte, even a ']'
        if (is_eol(at(pos_ + 1))) return fail("end of file", "']'"), out;
        out.append(text_, pos_, 2);
        pos_ += 2;
      } else {
        out += c;
        pos_++;
      }
    }
    // In an offset a bare constant is replaced; in a section name it is not.
    if (only_word && !in_section_ && is_identifier(out)) {
      if (auto constant = fpm_constant(out)) return *constant;
    }
    return out;
  }

  // ---- values
  // -------------------------------------------------------------------------------------
  static bool is_identifier(std::string_view w) {
    if (w.empty() || (w[0] >= '0' && w[0] <= '9')) return false;
    for (char c : w) {
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
        return false;
    }
    return true;
  }

  static bool is_value_char(char c) {
    return std::string_view("$= \t\n\r;&|^~()!\"'").find(c) == std::string_view::npos && c != 0;
  }

  // The maximal run of value characters at i; a '$' not followed by '{' takes the next byte along.
  [[nodiscard]] size_t value_run(size_t i) const {
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

  // Looks at the next token of a value without taking it; `end` is where it ends.
  Token peek(size_t* end) {
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
    if (equals_word(word, "true") || equals_word(word, "on") || equals_word(word, "yes"))
      kind = Tok::kTrue;
    if (equals_word(word, "false") || equals_word(word, "off") || equals_word(word, "no") ||
        equals_word(word, "none"))
      kind = Tok::kFalse;
    if (equals_word(word, "null")) kind = Tok::kNull;
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
  Token peek_raw(size_t i, size_t* end) {
    size_t close = text_.find('\'', i + 1);
    if (close == i + 1) return *end = i + 1, Token{Tok::kEol, "'"};
    if (close == std::string::npos) return *end = text_.size(), Token{Tok::kEnd, {}};
    *end = close + 1;
    return {Tok::kRaw, text_.substr(i + 1, close - i - 1)};
  }

  static bool starts_string(Tok t) {
    return t == Tok::kConstant || t == Tok::kNumber || t == Tok::kString || t == Tok::kSpace ||
           t == Tok::kRaw || t == Tok::kQuote || t == Tok::kDollarCurly;
  }

  std::optional<std::string> value() {
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

  void unexpected(const Token& t, bool in_parentheses = false) {
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
  std::string expression(int depth) {
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

  std::string operand(int depth) {
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

  std::string string_list() {
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

  // "text", pos_ at the opening quote.  Backslash hides a quote (unless that quote ends the line),
  // a backslash or a dollar; before anything else it stays.
  std::string double_quoted() {
    std::string out;
    pos_++;
    while (pos_ < text_.size()) {
      char c = text_[pos_];
      if (c == '"') {
        pos_++;
        return out;
      }
      if (c == '$' && at(pos_ + 1) == '{') {
        out += variable();
        if (!error_.empty()) return out;
        continue;
      }
      if (c != '\\' || pos_ + 1 >= text_.size()) {
        out += c;
        pos_++;
        continue;
      }
      char next = text_[pos_ + 1];
      if (next == '"' && is_eol(at(pos_ + 2))) {
        out += c;
        pos_++;
        continue;
      }
      if (next != '"' && next != '\\' && next != '$') out += c;
      out += next;
      pos_ += 2;
    }
    fail("end of file", "TC_DOLLAR_CURLY or TC_QUOTED_STRING or '\"'", 2);
    return out;
  }

  // ${NAME}, pos_ at the dollar: the environment variable's value, or nothing.
  std::string variable() {
    size_t i = pos_ + 2;
    size_t end = i;
    while (end < text_.size() && is_label_char(text_[end])) end++;
    std::string name = text_.substr(i, end - i);
    while (!name.empty() && is_space(name.back())) name.pop_back();
    name.erase(0, name.find_first_not_of(" \t"));
    if (name.empty())
      return fail(at(end) == '}' ? "'}'" : "end of file", "TC_VARNAME"), std::string();
    if (at(end) != '}') return fail("end of file", "'}'"), std::string();
    pos_ = end + 1;
    const char* v = std::getenv(name.c_str());
    return v ? v : "";
  }

  std::string text_;
  size_t pos_ = 0;
  bool in_section_ = false;
  std::string error_;
  FpmLine out_;
};

}  // namespace

FpmLine read_fpm_line(std::string_view line) {
  size_t nul = line.find('\0');  // php-fpm hands the line on as a C string
  if (nul != std::string_view::npos) line = line.substr(0, nul);
  return LineReader(line).run();
}

}  // namespace bulkhead::config
