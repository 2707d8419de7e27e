// Links: bulkhead_http
//
// HTTP/1 as front reads it: request heads, chunked bodies, CGI heads, ranges, dates and URIs.
// Beyond memory safety: parsing byte by byte must give what parsing at once gives.
#include <cstdlib>
#include <string>
#include <vector>

#include "http/cgi_head.h"
#include "http/chunked.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/range.h"
#include "http/request_parser.h"
#include "http/uri.h"

namespace {

using namespace bulkhead::http;

void must(bool holds) {
  if (!holds) std::abort();
}

// Everything a parser tells, as one text.
std::string describe(const RequestParser& p) {
  std::string out = std::to_string(static_cast<int>(p.error())) + '|';
  for (std::string_view part : {p.method_text(), p.path(), p.args(), p.request_uri(), p.host(),
                                p.protocol_text(), p.target_host()}) {
    out.append(part) += '|';
  }
  for (const HeaderField& h : p.headers()) {
    must(find_header_id(p.name(h)) == h.id && header_hash(p.name(h)) == h.hash);
    out.append(p.name(h)).append(":").append(p.value(h)) += '|';
  }
  out += std::to_string(p.content_length()) + (p.is_chunked() ? 'c' : '-');
  if (p.error() != ParseError::kNone) out += p.error_text();
  return out;
}

void check_done(const RequestParser& p, std::string_view bytes) {
  must(p.head_size() <= bytes.size());
  must(!p.path().empty() && p.path().front() == '/');
  must(p.path().find('\0') == std::string_view::npos);
  must(is_safe_path(p.path()));
  must(!(p.is_chunked() && p.has_content_length()));
  must(p.version() < 1001 || p.find(HeaderId::kHost) != nullptr);
}

void fuzz_head(std::string_view bytes, RequestParser::Options options) {
  RequestParser whole, slow;
  whole.set_options(options);
  slow.set_options(options);
  const ParseStep step = whole.parse(bytes);
  ParseStep slow_step = ParseStep::kMore;
  std::vector<char> moved;
  for (size_t i = 1; i <= bytes.size() && slow_step == ParseStep::kMore; ++i) {
    moved = std::vector<char>(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(i));
    slow_step = slow.parse(std::string_view(moved.data(), i));
  }
  must(step == slow_step || bytes.empty());
  if (step == ParseStep::kDone) {
    check_done(whole, bytes);
    must(slow.head_size() == whole.head_size());
    slow.rebase(bytes.data());
    must(describe(whole) == describe(slow));
  } else if (step == ParseStep::kError) {
    must(whole.error() == slow.error());
    must(!whole.error_text().empty() && parse_error_status(whole.error()) >= 400);
  }
}

std::string decode_chunks(std::string_view bytes, size_t piece_size) {
  ChunkedDecoder decoder;
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const auto result = decoder.decode(bytes.substr(at, piece_size));
    at += result.consumed;
    out += result.data;
    if (result.step == ChunkedDecoder::Step::kDone) return out + "D" + std::to_string(at);
    if (result.step == ChunkedDecoder::Step::kError) return out + "E";
  }
  return out + "M";
}

void fuzz_cgi(std::string_view bytes) {
  CgiHeadScanner scanner;
  const size_t end = scanner.feed(bytes);
  must(end == std::string_view::npos || end <= bytes.size());
  CgiHead head;
  if (head.parse(bytes.substr(0, end)) != CgiHeadError::kNone) must(!head.error_text().empty());
}

void fuzz_values(std::string_view bytes) {
  std::vector<ByteRange> ranges;
  std::string text = "bytes=";
  text += bytes;
  uint64_t total = 0;
  if (parse_ranges(text, 1000, 100, ranges) == RangeAnswer::kRanges) {
    for (const ByteRange& r : ranges) {
      must(r.start < r.end && r.end <= 1000);
      total += r.size();
    }
    must(!ranges.empty() && ranges.size() <= 100 && total <= 1000);
  }
  if (const auto when = parse_http_date(bytes)) must(parse_http_date(http_date(*when)) == when);
  (void)etag_list_matches(bytes, "\"a-1\"", EtagCompare::kWeak);
  std::string path, host, again;
  if (normalise_path("/" + std::string(bytes), MergeSlashes::kYes, path)) {
    must(is_safe_path(path) && path.find("//") == std::string::npos);
  }
  if (validate_host(bytes, host)) must(!host.empty() && host.find('/') == std::string::npos);
  std::string escaped, back;
  append_escaped(escaped, bytes, Escape::kComponent);
  append_unescaped(back, escaped, Unescape::kAll);
  must(back == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const uint8_t flags = data[0];
  fuzz_head(bytes, {(flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0});
  const std::string once = decode_chunks(bytes, bytes.size() + 1);
  must(once == decode_chunks(bytes, 1));
  fuzz_cgi(bytes);
  if (size < 4096) fuzz_values(bytes);
  return 0;
}
