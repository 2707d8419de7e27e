// See address.h.
#include "mail/address.h"

#include <algorithm>

namespace bulkhead::mail {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Reads one entry of a list up to its ',' or ';'.
class EntryReader {
 public:
  EntryReader(std::string_view text, size_t at) : text_(text), at_(at) {}

  // The address of the entry, "" when there is none.
  std::string read() {
    std::string plain;
    std::string* into = &plain;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') {
        skip_comment();
      } else if (c == '"') {
        take_quoted(*into);
      } else if (c == '<' && into == &plain) {
        angle_.clear();
        is_angle_ = true;
        into = &angle_;
      } else if (c == '>' && into == &angle_) {
        into = &after_;
      } else if (c == ':' && into == &plain && plain.find('@') == std::string::npos) {
        plain.clear();  // "team:" opens a group
      } else if (c == ',' && !(into == &angle_ && angle_.starts_with('@'))) {
        break;
      } else if (c == ';' && into != &angle_) {
        break;
      } else if (!is_blank(c)) {
        into->push_back(c);
      }
    }
    std::string found = is_angle_ ? angle_ : plain;
    // An obsolete source route: "<@relay1,@relay2:user@host>".
    if (found.starts_with('@')) found.erase(0, std::min(found.find(':'), found.size() - 1) + 1);
    return found;
  }
  [[nodiscard]] size_t at() const { return at_; }

 private:
  void skip_comment() {
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '(') {
        ++depth;
      } else if (text_[at_] == ')' && --depth == 0) {
        return;
      }
    }
  }
  void take_quoted(std::string& out) {
    out += '"';
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) out += text_[at_++];
      if (text_[at_] != '\r' && text_[at_] != '\n') out += text_[at_];
    }
    out += '"';
  }

  std::string_view text_;
  size_t at_;
  std::string angle_, after_;
  bool is_angle_ = false;
};

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_address(std::string_view text) {
  if (text.empty() || text.size() > kAddressMax || text.front() == '@' || text.back() == '@') {
    return false;
  }
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == '\\') {
      // RFC 5321 4.1.2: quoted-pairSMTP, a printable character.
      if (!is_quoted || ++i == text.size()) return false;
      const auto escaped = static_cast<unsigned char>(text[i]);
      if (escaped < 0x20 || escaped == 0x7f) return false;
    } else if (!is_quoted && (c == ' ' || c == '<' || c == '>' || c == ',' || c == ';')) {
      return false;
    }
  }
  return !is_quoted;
}

size_t parse_addresses(std::string_view list, std::vector<std::string>* out) {
  size_t malformed = 0;
  for (size_t at = 0; at < list.size();) {
    EntryReader reader(list, at);
    std::string address = reader.read();
    at = reader.at() + 1;
    if (address.empty()) continue;
    if (is_address(address)) {
      out->push_back(std::move(address));
    } else {
      ++malformed;
    }
  }
  return malformed;
}

}  // namespace bulkhead::mail
