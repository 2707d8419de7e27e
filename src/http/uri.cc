#include "http/uri.h"

#include <array>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

// Decodes %XX at text[i]; -1 when it is broken.
int decode_escape(std::string_view text, size_t i) {
  if (i + 2 >= text.size()) return -1;
  const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// A path being built segment by segment.
class PathBuilder {
 public:
  PathBuilder(std::string& out, MergeSlashes merge) : out_(out), merge_(merge) { out_.clear(); }

  void add(char c) { out_ += c; }
  // At a '/': settles the segment before it.  False: ".." left the root.
  bool slash() {
    if (out_.empty()) {
      out_ = "/";
      segment_ = 1;
      return true;
    }
    const std::string_view last = std::string_view(out_).substr(segment_);
    if (last.empty() && merge_ == MergeSlashes::kYes) return true;
    if (last == "." || last == "..") return dots(last.size());
    out_ += '/';
    segment_ = out_.size();
    return true;
  }
  bool finish() {
    const std::string_view last = std::string_view(out_).substr(segment_);
    return last == "." || last == ".." ? dots(last.size()) : true;
  }

 private:
  bool dots(size_t count) {
    out_.resize(segment_);
    if (count == 1) return true;
    if (segment_ < 2) return false;
    segment_ = out_.rfind('/', segment_ - 2) + 1;
    out_.resize(segment_);
    return true;
  }

  std::string& out_;
  MergeSlashes merge_;
  size_t segment_ = 0;
};

constexpr bool has_bit(Escape kind, unsigned char c) {
  if (c < 0x20 || c >= 0x7f) return true;
  constexpr std::string_view kUriSet = " \"#%<>?\\^`{|}";
  constexpr std::string_view kArgsSet = " \"#%<>?\\^`{|}&+;";
  const char ch = static_cast<char>(c);
  switch (kind) {
    case Escape::kUri:
      return kUriSet.find(ch) != std::string_view::npos;
    case Escape::kArgs:
      return kArgsSet.find(ch) != std::string_view::npos;
    case Escape::kComponent:
      return !is_alpha(ch) && !is_digit(ch) && ch != '-' && ch != '.' && ch != '_' && ch != '~';
    case Escape::kHtml:
      return ch == ' ' || ch == '"' || ch == '#' || ch == '%' || ch == '\'';
    default:
      return ch == ' ' || ch == '"' || ch == '\'';
  }
}

constexpr auto kEscapes = [] {
  std::array<uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    for (uint8_t kind = 0; kind <= static_cast<uint8_t>(Escape::kRefresh); ++kind) {
      if (has_bit(static_cast<Escape>(kind), static_cast<unsigned char>(c))) {
        table[c] = static_cast<uint8_t>(table[c] | (1u << kind));
      }
    }
  }
  return table;
}();

bool must_escape(char c, Escape kind) {
  return (kEscapes[static_cast<unsigned char>(c)] >> static_cast<uint8_t>(kind)) & 1;
}

}  // namespace

bool normalise_path(std::string_view raw, MergeSlashes merge, std::string& out, size_t* args_at) {
  PathBuilder path(out, merge);
  if (args_at != nullptr) *args_at = std::string_view::npos;
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '?' || c == '#') {
      const size_t hash = raw.find('#', i);
      if (c == '?' && args_at != nullptr && hash != i) *args_at = i + 1;
      break;
    }
    if (c == '%') {
      const int byte = decode_escape(raw, i);
      if (byte <= 0) return false;
      c = static_cast<char>(byte);
      i += 2;
    }
    if (c == '\0') return false;
    if (c != '/') {
      path.add(c);
    } else if (!path.slash()) {
      return false;
    }
  }
  return path.finish();
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.front() == '?') return false;
  if (path.find('\0') != std::string_view::npos) return false;
  for (size_t start = 0; start <= path.size();) {
    const size_t slash = std::min(path.find('/', start), path.size());
    if (path.substr(start, slash - start) == "..") return false;
    start = slash + 1;
  }
  return true;
}

void append_escaped(std::string& out, std::string_view text, Escape kind) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (char c : text) {
    if (!must_escape(c, kind)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

bool needs_escape(std::string_view text, Escape kind) {
  for (char c : text) {
    if (must_escape(c, kind)) return true;
  }
  return false;
}

void append_unescaped(std::string& out, std::string_view text, Unescape kind) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    size_t used = 1;
    if (c == '%') {
      const int byte = decode_escape(text, i);
      const bool keeps = kind == Unescape::kRedirect && (byte <= '%' || byte >= 0x7f);
      if (byte >= 0 && !keeps) {
        c = static_cast<char>(byte);
        used = 3;
      }
    }
    out += c;
    i += used - 1;
    if (c == '?' && kind != Unescape::kAll) {
      out += text.substr(i + 1);
      return;
    }
  }
}

bool validate_host(std::string_view text, std::string& out) {
  enum { kUsual, kLiteral, kRest } part = kUsual;
  size_t size = text.size();
  size_t last_dot = std::string_view::npos - 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '/') return false;
    if (c == '.') {
      if (last_dot + 1 == i) return false;
      last_dot = i;
    } else if (c == ':' && part == kUsual) {
      size = i;
      part = kRest;
    } else if (c == '[' && i == 0) {
      part = kLiteral;
    } else if (c == ']' && part == kLiteral) {
      size = i + 1;
      part = kRest;
    }
  }
  if (size > 0 && last_dot == size - 1) --size;
  if (size == 0) return false;
  out.resize(size);
  for (size_t i = 0; i < size; ++i) out[i] = to_lower(text[i]);
  return true;
}

std::string_view extension_of(std::string_view path) {
  const size_t at = path.find_last_of("./");
  if (at == std::string_view::npos || path[at] == '/') return {};
  if (at == 0 || path[at - 1] == '/') return {};
  return path.substr(at + 1);
}

}  // namespace bulkhead::http
