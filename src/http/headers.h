// Names of request headers the server itself looks at, and the fields of a parsed head.
//
// Runs in: front.  Input: hostile bytes.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead::http {

// Request headers with a meaning for the server; all others are kOther.
enum class HeaderId : uint8_t {
  kOther,
  kHost,
  kConnection,
  kIfModifiedSince,
  kIfUnmodifiedSince,
  kIfMatch,
  kIfNoneMatch,
  kUserAgent,
  kReferer,
  kContentLength,
  kContentRange,
  kContentType,
  kRange,
  kIfRange,
  kTransferEncoding,
  kTe,
  kExpect,
  kUpgrade,
  kAcceptEncoding,
  kVia,
  kAuthorization,
  kKeepAlive,
  kXForwardedFor,
  kXRealIp,
  kAccept,
  kAcceptLanguage,
  kDepth,
  kDestination,
  kOverwrite,
  kDate,
  kCookie,
  kProxy,  // httpoxy: never handed to an application
  kCount,
};

// The id of a header name, in any case.
HeaderId find_header_id(std::string_view name);
// The usual spelling of a known header ("If-Modified-Since"); "" for kOther.
std::string_view header_name(HeaderId id);
// The same when header_hash(name) is known.
HeaderId find_header_id(std::string_view name, uint32_t hash);
// Hash of the lower-case name; equal names (without case) have equal hashes.
constexpr uint32_t header_hash_step(uint32_t hash, char lower) {
  return hash * 31 + static_cast<unsigned char>(lower);
}
uint32_t header_hash(std::string_view name);

// A piece of the head: offsets from the request's first byte, so it survives a moved buffer.
struct Span {
  uint32_t at = 0, size = 0;
};

struct HeaderField {
  Span name;          // as sent
  Span value;         // without spaces around it
  uint32_t hash = 0;  // header_hash(name)
  HeaderId id = HeaderId::kOther;
};

}  // namespace bulkhead::http
