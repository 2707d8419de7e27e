#include "http/range.h"

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

// One "first-last", "first-" or "-suffix" and the comma or end after it.
class RangeReader {
 public:
  explicit RangeReader(std::string_view rest) : rest_(rest) {}

  // False when the text is broken.
  bool read(uint64_t length, ByteRange& out) {
    skip_spaces();
    const bool suffix = peek() == '-';
    if (!suffix) {
      if (!number(out.start)) return false;
      skip_spaces();
      if (peek() != '-') return false;
    }
    rest_.remove_prefix(1);
    if (!suffix) {
      skip_spaces();
      if (rest_.empty() || peek() == ',') {
        out.end = length;
        return true;
      }
    }
    uint64_t last = 0;
    if (!number(last)) return false;
    skip_spaces();
    if (!rest_.empty() && peek() != ',') return false;
    if (suffix) {
      out.start = last < length ? length - last : 0;
      out.end = length;
    } else {
      out.end = last >= length ? length : last + 1;
    }
    return true;
  }
  // Steps over a comma; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }

 private:
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  bool number(uint64_t& value) {
    size_t digits = 0;
    while (digits < rest_.size() && is_digit(rest_[digits])) ++digits;
    const auto parsed = parse_decimal(rest_.substr(0, digits));
    if (!parsed) return false;
    value = *parsed;
    rest_.remove_prefix(digits);
    return true;
  }
  std::string_view rest_;
};

}  // namespace

RangeAnswer parse_ranges(std::string_view value, uint64_t length, uint32_t max_ranges,
                         std::vector<ByteRange>& out) {
  constexpr std::string_view kUnit = "bytes=";
  out.clear();
  if (max_ranges == 0 || value.size() <= kUnit.size() || !istarts_with(value, kUnit)) {
    return RangeAnswer::kWhole;
  }
  RangeReader in(value.substr(kUnit.size()));
  uint64_t total = 0;
  do {
    ByteRange range;
    if (!in.read(length, range)) return RangeAnswer::kUnsatisfiable;
    if (range.start < range.end) {
      if (out.size() >= max_ranges) return RangeAnswer::kWhole;
      if (total > INT64_MAX - range.size()) return RangeAnswer::kUnsatisfiable;
      total += range.size();
      out.push_back(range);
    } else if (range.start == 0) {
      return RangeAnswer::kWhole;
    }
  } while (in.next());
  if (out.empty()) return RangeAnswer::kUnsatisfiable;
  // Overlapping ranges that ask for more than there is get the whole instead.
  return total > length ? RangeAnswer::kWhole : RangeAnswer::kRanges;
}

void append_content_range(std::string& out, ByteRange range, uint64_t length) {
  out += "bytes ";
  append_number(out, range.start);
  out += '-';
  append_number(out, range.end - 1);
  out += '/';
  append_number(out, length);
}

void append_unsatisfied_range(std::string& out, uint64_t length) {
  out += "bytes */";
  append_number(out, length);
}

MultipartRanges::MultipartRanges(uint64_t boundary, std::string_view content_type, uint64_t length)
    : length_(length) {
  constexpr size_t kBoundarySize = 20;
  std::string digits;
  append_number(digits, boundary);
  boundary_.assign(kBoundarySize - digits.size(), '0').append(digits);
  prefix_.append("\r\n--").append(boundary_).append("\r\n");
  if (!content_type.empty()) prefix_.append("Content-Type: ").append(content_type).append("\r\n");
  prefix_ += "Content-Range: ";
}

std::string MultipartRanges::content_type() const {
  return "multipart/byteranges; boundary=" + boundary_;
}

std::string MultipartRanges::part_header(ByteRange range) const {
  std::string out = prefix_;
  append_content_range(out, range, length_);
  out += "\r\n\r\n";
  return out;
}

std::string MultipartRanges::end() const { return "\r\n--" + boundary_ + "--\r\n"; }

uint64_t MultipartRanges::total_size(const std::vector<ByteRange>& ranges) const {
  uint64_t total = end().size();
  for (const ByteRange& range : ranges) total += part_header(range).size() + range.size();
  return total;
}

}  // namespace bulkhead::http
