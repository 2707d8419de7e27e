// The parts of PHP's ini scanner that names and values share.
//
// Runs in: master.  Input: configuration (trusted).
#include "config/fpm_scanner.h"

#include <algorithm>
#include <cstdlib>

#include "config/fpm_table.h"

namespace bulkhead::config {

bool FpmScanner::is_label_char(char c) {
  return std::string_view("=\n\r;&|^$~(){}!\"[").find(c) == std::string_view::npos;
}

bool FpmScanner::is_identifier(std::string_view w) {
  if (w.empty() || (w[0] >= '0' && w[0] <= '9')) return false;
  for (char c : w) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
      return false;
  }
  return true;
}

bool FpmScanner::is_one_of(std::string_view word, std::string_view list) {
  while (!list.empty()) {
    size_t end = std::min(list.find(' '), list.size());
    if (fpm_same_name(word, list.substr(0, end))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

size_t FpmScanner::skip_spaces(size_t i) const {
  while (is_space(at(i))) i++;
  return i;
}

void FpmScanner::fail(std::string_view unexpected, std::string_view expecting, int line) {
  if (!error_.empty()) return;
  error_ = "syntax error, unexpected ";
  error_ += unexpected;
  if (!expecting.empty()) (error_ += ", expecting ") += expecting;
  error_ += " in Unknown on line ";
  error_ += std::to_string(line);
}

// Backslash hides a quote (unless that quote ends the line),
// a backslash or a dollar; before anything else it stays.
std::string FpmScanner::double_quoted() {
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

std::string FpmScanner::variable() {
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

}  // namespace bulkhead::config
