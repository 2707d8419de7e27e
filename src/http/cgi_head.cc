#include "http/cgi_head.h"

#include <algorithm>
#include <cstring>

#include "http/ascii.h"

namespace bulkhead::http {

size_t CgiHeadScanner::feed(std::string_view bytes) {
  enum : uint8_t { kLineStart, kInLine, kAfterCr };
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    switch (state_) {
      case kInLine: {
        const void* lf = std::memchr(bytes.data() + i, '\n', bytes.size() - i);
        if (lf == nullptr) return std::string_view::npos;
        i = static_cast<size_t>(static_cast<const char*>(lf) - bytes.data());
        state_ = kLineStart;
        break;
      }
      default:
        if (c == '\n') {
          state_ = kLineStart;
          return i + 1;
        }
        state_ = c == '\r' && state_ == kLineStart ? kAfterCr : kInLine;
    }
  }
  return std::string_view::npos;
}

CgiHeadError CgiHead::parse(std::string_view block) {
  headers_.clear();
  status_ = 0;
  status_line_ = {};
  error_ = CgiHeadError::kNone;
  while (!block.empty()) {
    const size_t lf = block.find('\n');
    std::string_view line = block.substr(0, lf);
    block.remove_prefix(lf == std::string_view::npos ? block.size() : lf + 1);
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) break;
    error_ = parse_line(line);
    if (error_ != CgiHeadError::kNone) return error_;
  }
  if (status_ == 0) status_ = find("Location") != nullptr ? 302 : 200;
  return CgiHeadError::kNone;
}

CgiHeadError CgiHead::parse_line(std::string_view line) {
  bad_ = line;
  bad_at_ = 0;
  // Some applications repeat a status line; it says nothing that Status does not.
  if (line.substr(0, 5) == "HTTP/") return CgiHeadError::kNone;
  for (; bad_at_ < line.size() && line[bad_at_] != ':'; ++bad_at_) {
    const auto c = static_cast<unsigned char>(line[bad_at_]);
    if (c <= 0x20 || c == 0x7f) return CgiHeadError::kInvalidHeader;
  }
  if (bad_at_ == 0) return CgiHeadError::kInvalidHeader;
  const std::string_view name = line.substr(0, bad_at_);
  std::string_view value = line.substr(std::min(bad_at_ + 1, line.size()));
  // Two searches by the C library are cheaper than find_first_of, which makes one for each byte.
  const size_t broken = std::min(value.find('\r'), value.find('\0'));
  if (broken != std::string_view::npos) {
    bad_at_ += 1 + broken;
    return CgiHeadError::kInvalidHeader;
  }
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  if (!iequals(name, "Status")) {
    if (headers_.size() >= kMaxHeaders) return CgiHeadError::kTooManyHeaders;
    headers_.push_back({name, value});
    return CgiHeadError::kNone;
  }
  if (status_ != 0) return CgiHeadError::kNone;  // the first one counts
  const auto number = parse_decimal(value.substr(0, 3));
  // 1xx announces an answer and is none: what follows it would be taken for one, and the real next
  // one for the answer to somebody else's request.
  if (!number || value.size() < 3 || *number < 200) {
    bad_ = value;
    return CgiHeadError::kInvalidStatus;
  }
  status_ = static_cast<int>(*number);
  status_line_ = value;
  return CgiHeadError::kNone;
}

const CgiHeader* CgiHead::find(std::string_view name) const {
  for (const CgiHeader& header : headers_) {
    if (iequals(header.name, name)) return &header;
  }
  return nullptr;
}

std::string CgiHead::error_text() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  switch (error_) {
    case CgiHeadError::kInvalidHeader: {
      const auto byte = static_cast<unsigned char>(bad_[std::min(bad_at_, bad_.size() - 1)]);
      out.append("upstream sent invalid header: \"").append(bad_.substr(0, bad_at_)).append("\\x");
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
      out += "...\"";
      break;
    }
    case CgiHeadError::kInvalidStatus:
      out.append("upstream sent invalid status \"").append(bad_).append("\"");
      break;
    case CgiHeadError::kTooManyHeaders:
      out = "upstream sent too many headers";
      break;
    default:
      break;
  }
  return out;
}

}  // namespace bulkhead::http
