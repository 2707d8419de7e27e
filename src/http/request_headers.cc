// The header lines of RequestParser, and what they mean together.
//
// Runs in: front.  Input: bytes from the network, entirely hostile.
// Ref: RFC 9112 5 and 6; leniency (bare LF as line end, a name without colon) as nginx 1.22.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>

#include "http/ascii.h"
#include "http/request_parser.h"
#include "http/uri.h"

namespace bulkhead::http {
namespace {

// Lower-case form of a byte that needs no thought in a header name, 0 for others.
constexpr auto kNameLower = [] {
  std::array<char, 256> table{};
  for (int c = 0; c < 256; ++c) {
    const char ch = static_cast<char>(c);
    if (is_alpha(ch) || is_digit(ch) || ch == '-') table[static_cast<size_t>(c)] = to_lower(ch);
  }
  return table;
}();

// First CR, LF or NUL at or after `p`, or `end`.
const char* find_value_end(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n'), nul = _mm_setzero_si128();
  for (; end - p >= 16; p += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i hits =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf)),
                     _mm_cmpeq_epi8(block, nul));
    if (const int mask = _mm_movemask_epi8(hits); mask != 0) return p + __builtin_ctz(mask);
  }
#endif
  while (p < end && *p != '\r' && *p != '\n' && *p != '\0') ++p;
  return p;
}

// Headers whose second appearance refuses the request.
constexpr bool may_come_once(HeaderId id) {
  switch (id) {
    case HeaderId::kIfModifiedSince:
    case HeaderId::kIfUnmodifiedSince:
    case HeaderId::kIfMatch:
    case HeaderId::kIfNoneMatch:
    case HeaderId::kContentLength:
    case HeaderId::kContentRange:
    case HeaderId::kIfRange:
    case HeaderId::kTransferEncoding:
    case HeaderId::kExpect:
    case HeaderId::kAuthorization:
      return true;
    default:
      return false;
  }
}

}  // namespace

ParseStep RequestParser::parse_headers() {
  while (!at_end()) {
    ParseError error = ParseError::kNone;
    const char c = here();
    switch (state_) {
      case State::kHeaderStart:
        error = start_header_line(c);
        break;
      case State::kName:
        error = scan_name();
        break;
      case State::kValueStart:
        if (c == ' ') break;
        value_start_ = at_;
        state_ = State::kValue;
        [[fallthrough]];
      case State::kValue:
        error = scan_value();
        break;
      case State::kHeaderAfterCr:
        if (c == '\n') {
          error = finish_header();
        } else if (c != '\r') {
          line_end_ = value_end();
          error = ParseError::kInvalidHeader;
        }
        break;
      case State::kEndAfterCr:
        if (c == '\n')
          state_ = State::kDone;
        else
          error = ParseError::kInvalidHeader;
        break;
      default:
        return ParseStep::kDone;
    }
    if (error != ParseError::kNone) return fail(error);
    if (!at_end()) ++at_;
    if (state_ == State::kDone) {
      error = finish_head();
      return error == ParseError::kNone ? ParseStep::kDone : fail(error);
    }
  }
  return state_ == State::kDone ? ParseStep::kDone : ParseStep::kMore;
}

ParseError RequestParser::start_header_line(char c) {
  line_start_ = at_;
  line_end_ = at_;
  if (c == '\n') state_ = State::kDone;
  if (c == '\r') state_ = State::kEndAfterCr;
  if (c == '\n' || c == '\r') return ParseError::kNone;
  if (c == ':') return ParseError::kInvalidHeader;
  invalid_name_ = false;
  hash_ = 0;
  state_ = State::kName;
  return scan_name();
}

ParseError RequestParser::scan_name() {
  uint32_t hash = hash_;
  uint32_t i = at_;
  for (; i < size_; ++i) {
    const char c = base_[i];
    if (const char lower = kNameLower[static_cast<unsigned char>(c)]; lower != 0) {
      hash = header_hash_step(hash, lower);
      continue;
    }
    if (c == ':') break;
    at_ = i;
    line_end_ = i;
    if (c == '\r' || c == '\n') {  // a name without colon: an empty value
      hash_ = hash;
      name_end_ = i;
      value_start_ = i;
      if (c == '\n') return finish_header();
      state_ = State::kHeaderAfterCr;
      return ParseError::kNone;
    }
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return ParseError::kInvalidHeader;
    if (c != '_' || !options_.underscores_in_headers) invalid_name_ = true;
    hash = header_hash_step(hash, c);
  }
  hash_ = hash;
  at_ = i;
  if (at_end()) return ParseError::kNone;
  name_end_ = at_;
  state_ = State::kValueStart;
  return ParseError::kNone;
}

ParseError RequestParser::scan_value() {
  const char* found = find_value_end(base_ + at_, base_ + size_);
  at_ = static_cast<uint32_t>(found - base_);
  if (at_end()) return ParseError::kNone;
  line_end_ = at_;
  if (*found == '\n') return finish_header();
  if (*found == '\0') return ParseError::kInvalidHeader;
  state_ = State::kHeaderAfterCr;
  return ParseError::kNone;
}

uint32_t RequestParser::value_end() const {
  uint32_t end = line_end_;
  while (end > value_start_ && base_[end - 1] == ' ') --end;
  return end;
}

// At the LF of a header line.
ParseError RequestParser::finish_header() {
  state_ = State::kHeaderStart;
  const uint32_t end = value_end();
  if (invalid_name_ && options_.ignore_invalid_headers) {
    ignored_.push_back({line_start_, end - line_start_});
    return ParseError::kNone;
  }
  HeaderField field{
      {line_start_, name_end_ - line_start_}, {value_start_, end - value_start_}, hash_};
  field.id = find_header_id(name(field), hash_);
  if (headers_.size() >= kMaxHeaders) return ParseError::kTooManyHeaders;
  if (field.id != HeaderId::kOther) {
    const ParseError error = note_header(field);
    if (error != ParseError::kNone) return error;
    uint16_t& known = known_[static_cast<size_t>(field.id)];
    if (known == 0) known = static_cast<uint16_t>(headers_.size() + 1);
  }
  headers_.push_back(field);
  return ParseError::kNone;
}

ParseError RequestParser::note_header(const HeaderField& field) {
  if (may_come_once(field.id) && find(field.id) != nullptr) {
    bad_field_ = field;
    return ParseError::kDuplicateHeader;
  }
  switch (field.id) {
    case HeaderId::kHost:
      return note_host(field);
    case HeaderId::kConnection:
      if (ifind(value(field), "close") != std::string_view::npos) {
        connection_ = ConnectionOption::kClose;
      } else if (ifind(value(field), "keep-alive") != std::string_view::npos) {
        connection_ = ConnectionOption::kKeepAlive;
      }
      if (ifind(value(field), "upgrade") != std::string_view::npos) upgrade_ = true;
      return ParseError::kNone;
    default:
      return ParseError::kNone;
  }
}

ParseError RequestParser::note_host(const HeaderField& field) {
  if (find(HeaderId::kHost) != nullptr) {
    bad_field_ = field;
    return ParseError::kDuplicateHost;
  }
  if (host_start_ == 0) {
    return validate_host(value(field), host_) ? ParseError::kNone : ParseError::kInvalidHost;
  }
  // The target's host counts (RFC 9112 3.2.2), yet a bad Host is refused all the same.
  std::string unused;
  return validate_host(value(field), unused) ? ParseError::kNone : ParseError::kInvalidHost;
}

// At the empty line: what no single header could tell.
ParseError RequestParser::finish_head() {
  if (version_ > 1000 && find(HeaderId::kHost) == nullptr) return ParseError::kMissingHost;
  if (const HeaderField* length = find(HeaderId::kContentLength)) {
    const auto number = parse_decimal(value(*length));
    if (!number) return ParseError::kInvalidContentLength;
    has_content_length_ = true;
    content_length_ = *number;
  }
  if (const HeaderField* encoding = find(HeaderId::kTransferEncoding)) {
    if (version_ < 1001) return ParseError::kEncodingIn10;
    if (!iequals(value(*encoding), "chunked")) return ParseError::kUnknownEncoding;
    if (has_content_length_) return ParseError::kLengthAndEncoding;
    chunked_ = true;
  }
  if (method_ == Method::kTrace) return ParseError::kTraceMethod;
  if (method_ == Method::kConnect) return ParseError::kConnectMethod;
  upgrade_ = upgrade_ && find(HeaderId::kUpgrade) != nullptr;
  expects_continue_ = version_ > 1000 && iequals(find_value(HeaderId::kExpect), "100-continue");
  return ParseError::kNone;
}

}  // namespace bulkhead::http
