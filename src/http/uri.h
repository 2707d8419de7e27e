// URIs: normalising a request path, escaping and unescaping, and the host of a request.
//
// Runs in: front.  Input: hostile bytes, or text from the configuration.
// Ref: RFC 3986; behaviour of nginx 1.22.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead::http {

enum class MergeSlashes : uint8_t { kNo, kYes };

// Decodes %XX, resolves "." and "..", merges slashes if asked, and cuts '?' and '#' off.  `out` is
// replaced.  `args_at`, if given, gets the offset after '?' in `raw` (npos without one).
// Returns false for what must be answered 400: a broken escape, %00, or ".." above the root.
[[nodiscard]] bool normalise_path(std::string_view raw, MergeSlashes merge, std::string& out,
                                  size_t* args_at = nullptr);

// Whether a path (from X-Accel-Redirect, a rewrite, or a named file) stays below its root: no ".."
// segment, no NUL.  Not empty, and does not start with '?'.
[[nodiscard]] bool is_safe_path(std::string_view path);

// Which bytes are written as %XX; the sets are those nginx uses for the same purposes.
enum class Escape : uint8_t {
  kUri,        // a path: space " # % < > ? \ ^ ` { | } controls, 8 bit
  kArgs,       // a value inside arguments: kUri and & + ;
  kComponent,  // everything but unreserved characters (autoindex links)
  kHtml,       // a URL inside an HTML page: space " # % ' controls, 8 bit
  kRefresh,    // a URL inside a Refresh header: space " ' controls, 8 bit
};
void append_escaped(std::string& out, std::string_view text, Escape kind);
// Whether append_escaped() would change anything.
[[nodiscard]] bool needs_escape(std::string_view text, Escape kind);

enum class Unescape : uint8_t {
  kAll,       // every %XX
  kUri,       // up to the first '?', even an escaped one; the rest is copied
  kRedirect,  // the same, but bytes that must stay escaped in a Location keep their %XX
};
// Broken escapes are left as they are.
void append_unescaped(std::string& out, std::string_view text, Unescape kind);

// Checks a host (with optional port), and stores it lower case without port and trailing dot.
// Returns false when it must be refused: empty, "..", '/', NUL, spaces or controls, broken [..].
[[nodiscard]] bool validate_host(std::string_view text, std::string& out);

// The part of the last segment after '.', "" if none (or when the segment starts with the dot
// only).
[[nodiscard]] std::string_view extension_of(std::string_view path);

}  // namespace bulkhead::http
