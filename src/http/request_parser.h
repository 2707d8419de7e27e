// Parses the head of an HTTP/1.x (or 0.9) request as bytes arrive, refusing what RFC 9112 calls
// unsafe and answering errors with the statuses and log words of nginx 1.22.
//
// Runs in: front.  Input: bytes from the network, entirely hostile.
// Threads: a value; belongs to its connection.  Keeps its storage between requests (clear()).
//
// The caller owns one contiguous buffer that begins with the request's first byte and only grows
// until parse() returns kDone; it may move between calls.  Everything found is kept as offsets, the
// accessors turn them into views of the buffer given last (parse() or rebase()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/headers.h"

namespace bulkhead::http {

enum class Method : uint8_t {
  kUnknown,
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kMkcol,
  kCopy,
  kMove,
  kOptions,
  kPropfind,
  kProppatch,
  kLock,
  kUnlock,
  kPatch,
  kTrace,
  kConnect,
};

enum class ParseStep : uint8_t { kMore, kDone, kError };

// Why a head is refused.  parse_error_status() and parse_error_text() say what to answer and log.
enum class ParseError : uint8_t {
  kNone,
  kInvalidMethod,
  kInvalidRequest,     // the request line breaks the grammar
  kInvalid09Method,    // HTTP/0.9 with a method other than GET
  kInvalidVersion,     // major version above 1
  kUnsafeUri,          // %00, "..", broken escapes (found while normalising)
  kInvalidHostInLine,  // absolute-form
  kInvalidHeader,      // control bytes, NUL, bare CR, folding, space before the colon
  kDuplicateHeader,    // a header that may come once
  kDuplicateHost,
  kInvalidHost,
  kMissingHost,  // HTTP/1.1 without Host
  kInvalidContentLength,
  kLengthAndEncoding,  // Content-Length with Transfer-Encoding
  kUnknownEncoding,    // Transfer-Encoding other than chunked
  kEncodingIn10,       // Transfer-Encoding in HTTP/1.0
  kTraceMethod,
  kConnectMethod,
  kUriTooLong,      // set by refuse(): the request line does not fit
  kHeaderTooLarge,  // set by refuse(): the head does not fit
  kTooManyHeaders,  // more than kMaxHeaders
};

// The status nginx answers (400, 405, 414, 494, 501, 505).
int parse_error_status(ParseError error);

enum class ConnectionOption : uint8_t { kNone, kClose, kKeepAlive };

// What RequestParser knows of one request, all of it plain values.
struct RequestFields {
  enum class State : uint8_t {
    kStart,
    kMethod,
    kBeforeTarget,
    kScheme,
    kSchemeSlash,
    kSchemeSlashSlash,
    kHostStart,
    kHost,
    kHostLiteral,
    kHostEnd,
    kPort,
    kPath,
    kArgs,
    kAfterTarget,
    kProtocol,
    kMajor,
    kMinor,
    kAfterVersion,
    kLineAfterCr,  // last of the request line
    kHeaderStart,
    kName,
    kValueStart,
    kValue,
    kHeaderAfterCr,
    kEndAfterCr,
    kDone,
  };

  State state_ = State::kStart;
  ParseError error_ = ParseError::kNone;
  Method method_ = Method::kUnknown;
  ConnectionOption connection_ = ConnectionOption::kNone;
  bool line_started_ = false, complex_uri_ = false, has_args_ = false, empty_path_ = false;
  bool invalid_name_ = false, path_is_copy_ = false;
  bool has_content_length_ = false, chunked_ = false, expects_continue_ = false, upgrade_ = false;
  uint32_t size_ = 0;        // bytes received
  uint32_t at_ = 0;          // next byte to look at
  uint32_t line_start_ = 0;  // first byte of the current line
  uint32_t line_end_ = 0;    // its CR or LF
  uint32_t version_ = 0, major_ = 0, minor_ = 0, digits_ = 0;
  uint32_t target_start_ = 0, target_end_ = 0, host_start_ = 0, host_end_ = 0;
  uint32_t args_start_ = 0, fragment_ = 0, protocol_start_ = 0;
  uint32_t name_end_ = 0, value_start_ = 0, hash_ = 0;
  uint64_t content_length_ = 0;
  HeaderField bad_field_;
  Span request_line_, method_text_, protocol_, target_, path_, args_, target_host_;
  // Index + 1 of the first header with each id, 0 if none.
  uint16_t known_[static_cast<size_t>(HeaderId::kCount)] = {};
};

class RequestParser : private RequestFields {
 public:
  static constexpr size_t kMaxHeaders = 1000;

  struct Options {
    bool merge_slashes = true;
    bool underscores_in_headers = false;
    bool ignore_invalid_headers = true;
  };

  // Forgets the request; keeps storage.
  void clear();
  void set_options(const Options& options) { options_ = options; }

  // Continues with `bytes`: everything received of this request so far (and maybe of later ones).
  ParseStep parse(std::string_view bytes);
  // The buffer moved; views returned earlier are void.
  void rebase(const char* base) { base_ = base; }
  // Refuses the request for a reason the caller found (limits).
  void refuse(ParseError error);

  // ---- while incomplete ----
  // Whether a first byte of a request line was seen (empty lines before it do not count).  While
  // not, the caller may throw the bytes away and clear(), so that empty lines cost no memory.
  [[nodiscard]] bool started() const { return line_started_; }
  // Still in the request line.
  [[nodiscard]] bool in_request_line() const { return state_ <= State::kLineAfterCr; }
  // Where the incomplete line starts; the caller checks its length against its limits.
  [[nodiscard]] size_t line_start() const { return line_start_; }
  // Whether any byte of that line has been seen.
  [[nodiscard]] bool in_line() const;

  // ---- after kError ----  (the connection must be closed: where the next request starts is
  // unknown)
  [[nodiscard]] ParseError error() const { return error_; }
  // The error-log sentence of nginx, e.g.: client sent invalid header line: "A\x20..."
  // The caller adds " while reading client request line" or "... headers" (in_request_line()).
  [[nodiscard]] std::string error_text() const;

  // ---- after the request line (also valid after errors in later lines) ----
  [[nodiscard]] bool has_request_line() const { return request_line_.size != 0; }
  // Without the line end, as sent: $request.  After an error: as far as it was read.
  [[nodiscard]] std::string_view request_line() const { return text(request_line_); }
  [[nodiscard]] Method method() const { return method_; }
  [[nodiscard]] std::string_view method_text() const { return text(method_text_); }
  // 9 for HTTP/0.9, 1000 for 1.0, 1001 for 1.1 (1000 * major + minor).
  [[nodiscard]] uint32_t version() const { return version_; }
  // "HTTP/1.1"; "" for HTTP/0.9: $server_protocol.
  [[nodiscard]] std::string_view protocol_text() const { return text(protocol_); }
  // Path and arguments as sent, without scheme and host: $request_uri.
  [[nodiscard]] std::string_view request_uri() const;
  // Decoded and normalised path: $uri.
  [[nodiscard]] std::string_view path() const;
  // After '?', without '#...': $args.
  [[nodiscard]] std::string_view args() const { return text(args_); }
  [[nodiscard]] bool has_args() const { return has_args_; }
  // The path had escapes, "//", "/." or such, so path() differs (or may) from what was sent.
  [[nodiscard]] bool is_complex_uri() const { return complex_uri_; }
  // Host of an absolute-form target as sent, "" otherwise; lower case in host().
  [[nodiscard]] std::string_view target_host() const { return text(target_host_); }

  // ---- after kDone ----
  // Bytes of the head; the body or the next request begins there.
  [[nodiscard]] size_t head_size() const { return at_; }
  [[nodiscard]] const std::vector<HeaderField>& headers() const { return headers_; }
  [[nodiscard]] std::string_view name(const HeaderField& h) const { return text(h.name); }
  [[nodiscard]] std::string_view value(const HeaderField& h) const { return text(h.value); }
  // First header with this id, or nullptr.
  [[nodiscard]] const HeaderField* find(HeaderId id) const;
  // Its value, "" when absent.
  [[nodiscard]] std::string_view find_value(HeaderId id) const;
  // First header of this name in any case, or nullptr.
  [[nodiscard]] const HeaderField* find(std::string_view name) const;
  // Lines left out because their name has unusual characters (ignore_invalid_headers); each is
  // worth an [info] line: client sent invalid header line: "..."
  [[nodiscard]] const std::vector<Span>& ignored_lines() const { return ignored_; }

  // Lower-case host without port and trailing dot, from the target or the Host header; "" if none.
  [[nodiscard]] std::string_view host() const { return host_; }
  [[nodiscard]] bool has_content_length() const { return has_content_length_; }
  [[nodiscard]] uint64_t content_length() const { return content_length_; }
  [[nodiscard]] bool is_chunked() const { return chunked_; }
  [[nodiscard]] ConnectionOption connection() const { return connection_; }
  // What the client wants by version and Connection header.
  [[nodiscard]] bool wants_keep_alive() const;
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  [[nodiscard]] bool is_upgrade() const { return upgrade_; }

  [[nodiscard]] std::string_view text(Span span) const {
    return span.size == 0 ? std::string_view() : std::string_view(base_ + span.at, span.size);
  }

 private:
  ParseStep fail(ParseError error);
  ParseStep parse_request_line();
  ParseError step_before_target(char c);
  ParseError step_host(char c);
  ParseError step_version(char c);
  ParseError scan_path();
  ParseError scan_args();
  ParseError end_target(State next);
  ParseError end_target_with(char c);
  ParseError finish_request_line();
  ParseError normalise_target();
  ParseStep parse_headers();
  ParseError start_header_line(char c);
  ParseError scan_name();
  ParseError scan_value();
  ParseError finish_header();
  // Where the current line's value ends, without spaces.
  [[nodiscard]] uint32_t value_end() const;
  ParseError note_header(const HeaderField& field);
  ParseError note_host(const HeaderField& field);
  ParseError finish_head();
  [[nodiscard]] bool at_end() const { return at_ >= size_; }
  [[nodiscard]] char here() const { return base_[at_]; }

  Options options_;
  const char* base_ = nullptr;
  std::vector<HeaderField> headers_;
  std::vector<Span> ignored_;
  std::string path_copy_, host_;
};

// How much of a head may be read, as nginx's client_header_buffer_size and
// large_client_header_buffers define it: the head starts in one small buffer; a line that does not
// fit moves to the next of `large_count` large ones, and must fit there.
class HeadWindow {
 public:
  HeadWindow(size_t initial, size_t large_count, size_t large_size)
      : end_(initial), large_left_(large_count), large_size_(large_size) {}
  // After parse() returned kMore with `received` bytes in the buffer: how many bytes may be
  // received in total before asking again.  0: the head is too large; `parser` was told (refuse()).
  size_t allow(RequestParser& parser, size_t received);

 private:
  size_t end_;
  size_t large_left_, large_size_;
};

}  // namespace bulkhead::http
