// One line of the php-fpm language, read as PHP's ini scanner reads it.
//
// Runs in: master.  Input: configuration (trusted).
#include "config/fpm_lexer.h"

#include <utility>

#include "config/fpm_constants.h"
#include "config/fpm_value.h"

namespace bulkhead::config {
namespace {

class LineReader : private FpmValueReader {
 public:
  explicit LineReader(std::string_view line) : FpmValueReader(line) {}

  FpmLine run() {
    while (pos_ < text_.size() && error_.empty()) statement();
    out_.syntax_error = error_;
    return std::move(out_);
  }

 private:
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
    if (is_true(name)) return fail("BOOL_TRUE");
    if (is_false(name)) return fail("BOOL_FALSE");
    if (is_one_of(name, "null")) return fail("NULL_NULL");
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

  bool in_section_ = false;
  FpmLine out_;
};

}  // namespace

FpmLine read_fpm_line(std::string_view line) {
  size_t nul = line.find('\0');  // php-fpm hands the line on as a C string
  if (nul != std::string_view::npos) line = line.substr(0, nul);
  return LineReader(line).run();
}

}  // namespace bulkhead::config
