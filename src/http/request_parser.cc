// What RequestParser tells: accessors, errors and their words.  The grammar is in request_line.cc
// and request_headers.cc.
//
// Runs in: front.  Input: bytes from the network, entirely hostile.
#include "http/request_parser.h"

#include <algorithm>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

// A log line may quote this much of a request.
constexpr size_t kQuoteMax = 1748;

void append_hex_byte(std::string& out, unsigned char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

std::string_view fixed_error_text(ParseError error) {
  switch (error) {
    case ParseError::kInvalidMethod:
      return "client sent invalid method";
    case ParseError::kInvalidRequest:
    case ParseError::kUnsafeUri:
      return "client sent invalid request";
    case ParseError::kInvalid09Method:
      return "client sent invalid method in HTTP/0.9 request";
    case ParseError::kInvalidVersion:
      return "client sent invalid version";
    case ParseError::kInvalidHostInLine:
      return "client sent invalid host in request line";
    case ParseError::kInvalidHost:
      return "client sent invalid host header";
    case ParseError::kMissingHost:
      return "client sent HTTP/1.1 request without \"Host\" header";
    case ParseError::kInvalidContentLength:
      return "client sent invalid \"Content-Length\" header";
    case ParseError::kLengthAndEncoding:
      return "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time";
    case ParseError::kEncodingIn10:
      return "client sent HTTP/1.0 request with \"Transfer-Encoding\" header";
    case ParseError::kTraceMethod:
      return "client sent TRACE method";
    case ParseError::kConnectMethod:
      return "client sent CONNECT method";
    case ParseError::kUriTooLong:
      return "client sent too long URI";
    case ParseError::kTooManyHeaders:
      return "client sent too many header lines";
    default:
      return "";
  }
}

}  // namespace

int parse_error_status(ParseError error) {
  switch (error) {
    case ParseError::kInvalidVersion:
      return 505;
    case ParseError::kUnknownEncoding:
      return 501;
    case ParseError::kTraceMethod:
    case ParseError::kConnectMethod:
      return 405;
    case ParseError::kUriTooLong:
      return 414;
    case ParseError::kHeaderTooLarge:
    case ParseError::kTooManyHeaders:
      return 494;
    default:
      return 400;
  }
}

void RequestParser::clear() {
  static_cast<RequestFields&>(*this) = RequestFields();
  headers_.clear();
  ignored_.clear();
  host_.clear();
}

ParseStep RequestParser::parse(std::string_view bytes) {
  base_ = bytes.data();
  size_ = static_cast<uint32_t>(bytes.size());
  if (error_ != ParseError::kNone) return ParseStep::kError;
  if (in_request_line()) {
    const ParseStep step = parse_request_line();
    if (step != ParseStep::kDone || state_ == State::kDone) return step;
  }
  return parse_headers();
}

ParseStep RequestParser::fail(ParseError error) {
  error_ = error;
  if (in_request_line() && request_line_.size == 0) {
    // What the logs show as the request: as far as it came.
    uint32_t end = line_start_;
    while (end < size_ && base_[end] != '\r' && base_[end] != '\n') ++end;
    request_line_ = {line_start_, end - line_start_};
  }
  return ParseStep::kError;
}

void RequestParser::refuse(ParseError error) { fail(error); }

bool RequestParser::in_line() const {
  return state_ != State::kStart && state_ != State::kHeaderStart && state_ != State::kDone;
}

std::string RequestParser::error_text() const {
  const std::string_view fixed = fixed_error_text(error_);
  if (!fixed.empty()) return std::string(fixed);
  std::string out;
  switch (error_) {
    case ParseError::kInvalidHeader: {
      out = "client sent invalid header line: \"";
      out.append(base_ + line_start_, std::min<size_t>(line_end_ - line_start_, kQuoteMax));
      if (line_end_ < size_) append_hex_byte(out, static_cast<unsigned char>(base_[line_end_]));
      out += "...\"";
      break;
    }
    case ParseError::kHeaderTooLarge:
      out = "client sent too long header line: \"";
      out.append(base_ + line_start_, std::min<size_t>(size_ - line_start_, kQuoteMax));
      out += "...\"";
      break;
    case ParseError::kDuplicateHost:
    case ParseError::kDuplicateHeader: {
      const HeaderField& first = *find(bad_field_.id);
      out = error_ == ParseError::kDuplicateHost ? "client sent duplicate host header: \""
                                                 : "client sent duplicate header line: \"";
      out.append(name(bad_field_)).append(": ").append(value(bad_field_));
      out += "\", previous value: \"";
      out.append(name(first)).append(": ").append(value(first)) += '"';
      break;
    }
    case ParseError::kUnknownEncoding:
      out = "client sent unknown \"Transfer-Encoding\": \"";
      out.append(find_value(HeaderId::kTransferEncoding)) += '"';
      break;
    default:
      break;
  }
  return out;
}

std::string_view RequestParser::request_uri() const {
  if (empty_path_ && target_.size == 0) return "/";
  return text(target_);
}

std::string_view RequestParser::path() const {
  if (path_is_copy_) return path_copy_;
  if (empty_path_) return "/";
  return text(path_);
}

const HeaderField* RequestParser::find(HeaderId id) const {
  const size_t position = known_[static_cast<size_t>(id)];
  return position == 0 ? nullptr : &headers_[position - 1];
}

std::string_view RequestParser::find_value(HeaderId id) const {
  const HeaderField* field = find(id);
  return field == nullptr ? std::string_view() : value(*field);
}

const HeaderField* RequestParser::find(std::string_view wanted) const {
  const uint32_t hash = header_hash(wanted);
  for (const HeaderField& field : headers_) {
    if (field.hash == hash && iequals(name(field), wanted)) return &field;
  }
  return nullptr;
}

bool RequestParser::wants_keep_alive() const {
  if (connection_ == ConnectionOption::kClose) return false;
  return connection_ == ConnectionOption::kKeepAlive || version_ > 1000;
}

size_t HeadWindow::allow(RequestParser& parser, size_t received) {
  if (received < end_) return end_;
  if (!parser.started()) return received + large_size_;
  const size_t line = parser.in_line() ? received - parser.line_start() : 0;
  if (line >= large_size_ || large_left_ == 0) {
    parser.refuse(parser.in_request_line() ? ParseError::kUriTooLong : ParseError::kHeaderTooLarge);
    return 0;
  }
  --large_left_;
  end_ = received - line + large_size_;
  return end_;
}

}  // namespace bulkhead::http
