// The request line of RequestParser: method, target in origin or absolute form, version.
//
// Runs in: front.  Input: bytes from the network, entirely hostile.
// Ref: RFC 9112 3; leniency (several spaces, bare LF, HTTP/0.9) as nginx 1.22.
#include <array>

#include "http/ascii.h"
#include "http/request_parser.h"
#include "http/uri.h"

namespace bulkhead::http {
namespace {

struct MethodName {
  std::string_view text;
  Method method;
};
constexpr MethodName kMethods[] = {
    {"GET", Method::kGet},       {"POST", Method::kPost},
    {"HEAD", Method::kHead},     {"PUT", Method::kPut},
    {"DELETE", Method::kDelete}, {"OPTIONS", Method::kOptions},
    {"PATCH", Method::kPatch},   {"PROPFIND", Method::kPropfind},
    {"MKCOL", Method::kMkcol},   {"COPY", Method::kCopy},
    {"MOVE", Method::kMove},     {"PROPPATCH", Method::kProppatch},
    {"LOCK", Method::kLock},     {"UNLOCK", Method::kUnlock},
    {"TRACE", Method::kTrace},   {"CONNECT", Method::kConnect},
};

Method find_method(std::string_view text) {
  for (const MethodName& m : kMethods) {
    if (m.text == text) return m.method;
  }
  return Method::kUnknown;
}

constexpr bool is_method_char(char c) { return (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; }

// Bytes a target may simply hold: no controls, no space, nothing with a meaning of its own.
constexpr std::array<bool, 256> plain_bytes(std::string_view special) {
  std::array<bool, 256> plain{};
  for (size_t i = 0x21; i < 256; ++i) {
    plain[i] = i != 0x7f && special.find(static_cast<char>(i)) == std::string_view::npos;
  }
  return plain;
}
constexpr auto kPlainPath = plain_bytes("/.?%#");
constexpr auto kPlainArgs = plain_bytes("#");

constexpr bool is_literal_char(char c) {  // inside [...]
  return is_alpha(c) || is_digit(c) ||
         std::string_view("-._~!$&'()*+,;=:").find(c) != std::string_view::npos;
}

}  // namespace

ParseStep RequestParser::parse_request_line() {
  while (!at_end() && in_request_line()) {
    ParseError error = ParseError::kNone;
    const char c = here();
    switch (state_) {
      case State::kStart:
        if (c == '\r' || c == '\n') break;
        line_start_ = at_;
        line_started_ = true;
        state_ = State::kMethod;
        [[fallthrough]];
      case State::kMethod:
        while (!at_end() && is_method_char(here())) ++at_;
        if (at_end()) return ParseStep::kMore;
        if (here() != ' ' || at_ == line_start_) return fail(ParseError::kInvalidMethod);
        method_text_ = {line_start_, at_ - line_start_};
        method_ = find_method(method_text());
        state_ = State::kBeforeTarget;
        break;
      case State::kPath:
        error = scan_path();
        break;
      case State::kArgs:
        error = scan_args();
        break;
      default:
        error = state_ <= State::kSchemeSlashSlash ? step_before_target(c)
                : state_ <= State::kPort           ? step_host(c)
                                                   : step_version(c);
    }
    if (error != ParseError::kNone) return fail(error);
    if (!at_end()) ++at_;
  }
  return in_request_line() ? ParseStep::kMore : ParseStep::kDone;
}

ParseError RequestParser::step_before_target(char c) {
  switch (state_) {
    case State::kBeforeTarget:
      if (c == ' ') return ParseError::kNone;
      target_start_ = at_;
      if (c == '/') {
        state_ = State::kPath;
        return ParseError::kNone;
      }
      state_ = State::kScheme;
      return is_alpha(c) ? ParseError::kNone : ParseError::kInvalidRequest;
    case State::kScheme:
      if (is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.') return ParseError::kNone;
      state_ = State::kSchemeSlash;
      return c == ':' ? ParseError::kNone : ParseError::kInvalidRequest;
    case State::kSchemeSlash:
      state_ = State::kSchemeSlashSlash;
      return c == '/' ? ParseError::kNone : ParseError::kInvalidRequest;
    default:
      state_ = State::kHostStart;
      return c == '/' ? ParseError::kNone : ParseError::kInvalidRequest;
  }
}

// The authority of an absolute-form target, and the byte that ends it.
ParseError RequestParser::step_host(char c) {
  if (state_ == State::kHostStart) {
    host_start_ = at_;
    state_ = c == '[' ? State::kHostLiteral : State::kHost;
    if (c == '[') return ParseError::kNone;
  }
  switch (state_) {
    case State::kHost:
      if (is_alpha(c) || is_digit(c) || c == '.' || c == '-') return ParseError::kNone;
      break;
    case State::kHostLiteral:
      if (c == ']') state_ = State::kHostEnd;
      return c == ']' || is_literal_char(c) ? ParseError::kNone : ParseError::kInvalidRequest;
    case State::kPort:
      if (is_digit(c)) return ParseError::kNone;
      break;
    default:
      break;
  }
  if (state_ != State::kPort) host_end_ = at_;
  if (c == ':' && state_ != State::kPort) {
    state_ = State::kPort;
    return ParseError::kNone;
  }
  target_start_ = at_;
  switch (c) {
    case '/':
      state_ = State::kPath;
      return ParseError::kNone;
    case '?':
      empty_path_ = true;
      has_args_ = true;
      args_start_ = at_ + 1;
      state_ = State::kArgs;
      return ParseError::kNone;
    case ' ':
      empty_path_ = true;
      return end_target(State::kAfterTarget);
    default:
      return ParseError::kInvalidRequest;
  }
}

ParseError RequestParser::end_target(State next) {
  target_end_ = at_;
  state_ = next;
  return ParseError::kNone;
}

// Nothing else may follow a target than a space or the line's end.
ParseError RequestParser::end_target_with(char c) {
  switch (c) {
    case ' ':
      return end_target(State::kAfterTarget);
    case '\r':
      line_end_ = at_;
      return end_target(State::kLineAfterCr);
    case '\n':
      line_end_ = at_;
      end_target(state_);
      return finish_request_line();
    default:
      return ParseError::kInvalidRequest;
  }
}

ParseError RequestParser::scan_path() {
  for (; !at_end(); ++at_) {
    const char c = here();
    if (kPlainPath[static_cast<unsigned char>(c)]) continue;
    switch (c) {
      case '.':
      case '/':
        complex_uri_ |= base_[at_ - 1] == '/';
        break;
      case '%':
        complex_uri_ = true;
        break;
      case '?':
        has_args_ = true;
        args_start_ = at_ + 1;
        state_ = State::kArgs;
        return ParseError::kNone;
      case '#':
        state_ = State::kArgs;
        return scan_args();
      default:
        return end_target_with(c);
    }
  }
  return ParseError::kNone;
}

// Arguments and what follows a '#'.
ParseError RequestParser::scan_args() {
  for (; !at_end(); ++at_) {
    const char c = here();
    if (kPlainArgs[static_cast<unsigned char>(c)]) continue;
    switch (c) {
      case '#':
        if (fragment_ == 0) fragment_ = at_;
        complex_uri_ = true;
        break;
      default:
        return end_target_with(c);
    }
  }
  return ParseError::kNone;
}

// From the space after the target to the end of the line.
ParseError RequestParser::step_version(char c) {
  constexpr std::string_view kName = "HTTP/";
  const bool ends_line = c == '\r' || c == '\n';
  switch (state_) {
    case State::kAfterTarget:
      if (c == ' ') return ParseError::kNone;
      if (ends_line) break;
      protocol_start_ = at_;
      digits_ = 1;
      state_ = State::kProtocol;
      return c == 'H' ? ParseError::kNone : ParseError::kInvalidRequest;
    case State::kProtocol:
      if (c != kName[digits_]) return ParseError::kInvalidRequest;
      if (++digits_ == kName.size()) {
        state_ = State::kMajor;
        digits_ = 0;
      }
      return ParseError::kNone;
    case State::kMajor:
      if (c == '.' && digits_ > 0) {
        digits_ = 0;
        state_ = State::kMinor;
        return ParseError::kNone;
      }
      if (!is_digit(c) || (digits_++ == 0 && c == '0')) return ParseError::kInvalidRequest;
      major_ = major_ * 10 + static_cast<uint32_t>(c - '0');
      return major_ > 1 ? ParseError::kInvalidVersion : ParseError::kNone;
    case State::kMinor:
      if (is_digit(c)) {
        if (minor_ > 99) return ParseError::kInvalidRequest;
        ++digits_;
        minor_ = minor_ * 10 + static_cast<uint32_t>(c - '0');
        return ParseError::kNone;
      }
      if (digits_ == 0) return ParseError::kInvalidRequest;
      version_ = major_ * 1000 + minor_;
      state_ = State::kAfterVersion;
      [[fallthrough]];
    case State::kAfterVersion:
      if (c == ' ') return ParseError::kNone;
      if (!ends_line) return ParseError::kInvalidRequest;
      break;
    default:  // kLineAfterCr
      return c == '\n' ? finish_request_line() : ParseError::kInvalidRequest;
  }
  line_end_ = at_;
  if (c == '\n') return finish_request_line();
  state_ = State::kLineAfterCr;
  return ParseError::kNone;
}

// At the LF of the request line.
ParseError RequestParser::finish_request_line() {
  request_line_ = {line_start_, line_end_ - line_start_};
  if (protocol_start_ == 0) version_ = 9;
  if (protocol_start_ != 0) protocol_ = {protocol_start_, line_end_ - protocol_start_};
  if (version_ == 9 && method_ != Method::kGet) return ParseError::kInvalid09Method;
  if (const ParseError error = normalise_target(); error != ParseError::kNone) return error;
  if (host_start_ != 0) {
    target_host_ = {host_start_, host_end_ - host_start_};
    if (!validate_host(target_host(), host_)) return ParseError::kInvalidHostInLine;
  }
  state_ = version_ == 9 ? State::kDone : State::kHeaderStart;
  return ParseError::kNone;
}

ParseError RequestParser::normalise_target() {
  target_ = {target_start_, target_end_ - target_start_};
  const uint32_t end = fragment_ != 0 ? fragment_ : target_end_;
  if (has_args_) args_ = {args_start_, end - args_start_};
  if (empty_path_) return ParseError::kNone;
  const uint32_t path_end = has_args_ ? args_start_ - 1 : end;
  path_ = {target_start_, path_end - target_start_};
  if (!complex_uri_) return ParseError::kNone;
  path_is_copy_ = true;
  const auto merge = options_.merge_slashes ? MergeSlashes::kYes : MergeSlashes::kNo;
  return normalise_path(text(path_), merge, path_copy_) ? ParseError::kNone
                                                        : ParseError::kUnsafeUri;
}

}  // namespace bulkhead::http
