// The header block an application answers with: "Status: 404 Not Found\r\nContent-type: ...".
//
// Runs in: front.  Input: bytes a pool or FastCGI server wrote, hostile; from a private copy.
// Ref: RFC 3875 6; nginx 1.22 reading FastCGI responses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::http {

// Finds the end of a header block that arrives in pieces.  Lines end in LF or CRLF.
class CgiHeadScanner {
 public:
  // Looks at `bytes` that follow those seen before.  Returns how many of them belong to the block
  // if it ends here (with its empty line), or npos.
  size_t feed(std::string_view bytes);
  void clear() { state_ = 0; }

 private:
  uint8_t state_ = 0;  // bytes of a possible empty line seen
};

enum class CgiHeadError : uint8_t {
  kNone,
  kInvalidHeader,  // upstream sent invalid header: "..."
  kInvalidStatus,  // upstream sent invalid status "..."
  kTooManyHeaders,
};

struct CgiHeader {
  std::string_view name, value;  // pieces of the block given to parse()
};

class CgiHead {
 public:
  static constexpr size_t kMaxHeaders = 1000;

  // Parses a complete block; views refer to it.  Storage is reused.
  CgiHeadError parse(std::string_view block);

  // From "Status:", else 302 with a Location, else 200.
  [[nodiscard]] int status() const { return status_; }
  // "404 Not Found" as sent in Status, "" when absent (the wire then uses nginx's words).
  [[nodiscard]] std::string_view status_line() const { return status_line_; }
  // All but Status.
  [[nodiscard]] const std::vector<CgiHeader>& headers() const { return headers_; }
  // First value of a name in any case; nullptr if absent.
  [[nodiscard]] const CgiHeader* find(std::string_view name) const;
  // The error-log sentence of nginx after an error.
  [[nodiscard]] std::string error_text() const;

 private:
  CgiHeadError parse_line(std::string_view line);

  int status_ = 200;
  std::string_view status_line_;
  std::vector<CgiHeader> headers_;
  CgiHeadError error_ = CgiHeadError::kNone;
  std::string_view bad_;
  size_t bad_at_ = 0;
};

}  // namespace bulkhead::http
