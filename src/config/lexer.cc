#include "config/lexer.h"

namespace bulkhead::config {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::unexpected<LexError> Lexer::error(std::string text) const {
  return std::unexpected(LexError{std::move(text), line_});
}

std::string Lexer::unescape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out += raw[i];
      continue;
    }
    switch (char next = raw[i + 1]; next) {
      case '"':
      case '\'':
      case '\\':
        out += next, ++i;
        break;
      case 't':
        out += '\t', ++i;
        break;
      case 'r':
        out += '\r', ++i;
        break;
      case 'n':
        out += '\n', ++i;
        break;
      default:
        out += '\\';
    }
  }
  return out;
}

void Lexer::skip_blank() {
  bool in_comment = false;
  for (; at_ < text_.size(); ++at_) {
    char c = text_[at_];
    if (c == '\n') {
      ++line_;
      in_comment = false;
    } else if (!in_comment) {
      if (c == '#') {
        in_comment = true;
      } else if (!is_blank(c)) {
        return;
      }
    }
  }
}

std::expected<Statement, LexError> Lexer::next() {
  Statement out;
  for (;;) {
    Word word;
    auto what = token(&word, !out.words.empty());
    if (!what) return std::unexpected(what.error());
    out.line = line_;
    switch (*what) {
      case Word1::kWord:
        out.words.push_back(std::move(word));
        continue;
      case Word1::kSemicolon:
        out.end = Statement::End::kSemicolon;
        break;
      case Word1::kOpen:
        out.end = Statement::End::kOpen;
        break;
      case Word1::kClose:
        out.end = Statement::End::kClose;
        break;
      case Word1::kEof:
        out.end = Statement::End::kEof;
        break;
    }
    return out;
  }
}

std::expected<Lexer::Word1, LexError> Lexer::token(Word* word, bool has_words) {
  skip_blank();
  if (at_ == text_.size()) {
    if (has_words) return error("unexpected end of file, expecting \";\" or \"}\"");
    return Word1::kEof;
  }
  char c = text_[at_];
  if (c == ';' || c == '{') {
    if (!has_words) return error(std::string("unexpected \"") + c + "\"");
    ++at_;
    return c == ';' ? Word1::kSemicolon : Word1::kOpen;
  }
  if (c == '}') {
    if (has_words) return error("unexpected \"}\"");
    ++at_;
    return Word1::kClose;
  }
  if (c == '"' || c == '\'') return quoted_word(word, c);
  return bare_word(word);
}

std::expected<Lexer::Word1, LexError> Lexer::quoted_word(Word* word, char quote) {
  const uint32_t start_line = line_;
  const size_t start = ++at_;
  for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    if (text_[at_] == '\n') ++line_;
    if (at_ - start + 1 >= kWordBytesMax) {
      line_ = start_line;
      return error(std::string("too long parameter, probably missing terminating \"") + quote +
                   "\" character");
    }
  }
  if (at_ >= text_.size()) {
    at_ = text_.size();
    return error("unexpected end of file, expecting \";\" or \"}\"");
  }
  word->text = unescape(text_.substr(start, at_ - start));
  word->quoted = true;
  ++at_;
  // After the closing quote a word must end; ')' may follow for `if ($a = "b")`.
  if (at_ == text_.size()) return error("unexpected end of file, expecting \";\" or \"}\"");
  char c = text_[at_];
  if (is_blank(c) || c == ';' || c == '{' || c == ')') return Word1::kWord;
  return error(std::string("unexpected \"") + c + "\"");
}

std::expected<Lexer::Word1, LexError> Lexer::bare_word(Word* word) {
  const uint32_t start_line = line_;
  const size_t start = at_;
  bool after_dollar = false;  // "${" belongs to the word
  for (; at_ < text_.size(); ++at_) {
    char c = text_[at_];
    if (is_blank(c) || c == ';' || (c == '{' && !after_dollar)) break;
    if (c == '{') continue;
    after_dollar = c == '$';
    if (c == '\\' && at_ + 1 < text_.size()) {
      ++at_;
      if (text_[at_] == '\n') ++line_;
    }
    if (at_ - start >= kWordBytesMax) {
      line_ = start_line;
      return error("too long parameter \"" + std::string(text_.substr(start, 10)) +
                   "...\" started");
    }
  }
  if (at_ >= text_.size()) {
    at_ = text_.size();
    return error("unexpected end of file, expecting \";\" or \"}\"");
  }
  word->text = unescape(text_.substr(start, at_ - start));
  return Word1::kWord;
}

}  // namespace bulkhead::config
