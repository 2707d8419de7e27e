// Byte ranges: the Range header and multipart/byteranges framing.
//
// Runs in: front.  Input: header values, hostile.  Ref: RFC 9110 14; nginx 1.22 rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::http {

struct ByteRange {
  uint64_t start = 0, end = 0;  // [start, end)
  [[nodiscard]] uint64_t size() const { return end - start; }
};

enum class RangeAnswer : uint8_t {
  kWhole,          // ignore the header: 200
  kRanges,         // 206 with `out` (one or several)
  kUnsatisfiable,  // 416 with Content-Range: bytes */length
};
// Reads "bytes=..." for content of `length` bytes.  Malformed headers and headers of more than
// `max_ranges` ranges, or whose ranges add up to more than the content, answer as nginx does.
RangeAnswer parse_ranges(std::string_view value, uint64_t length, uint32_t max_ranges,
                         std::vector<ByteRange>& out);

// "bytes 0-9/100" and "bytes */100".
void append_content_range(std::string& out, ByteRange range, uint64_t length);
void append_unsatisfied_range(std::string& out, uint64_t length);

// Framing of a multipart/byteranges body.  `boundary` is any number unique enough.
class MultipartRanges {
 public:
  // `content_type` as it would be sent for the whole ("text/html; charset=utf-8"), "" for none.
  MultipartRanges(uint64_t boundary, std::string_view content_type, uint64_t length);
  [[nodiscard]] std::string content_type() const;
  // What precedes a part's bytes, and what ends the body.
  [[nodiscard]] std::string part_header(ByteRange range) const;
  [[nodiscard]] std::string end() const;
  // Content-Length of the whole body.
  [[nodiscard]] uint64_t total_size(const std::vector<ByteRange>& ranges) const;

 private:
  std::string boundary_, prefix_;
  uint64_t length_;
};

}  // namespace bulkhead::http
