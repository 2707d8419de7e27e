// A small HTTP client: one request per connection, answers bounded in size and time.
//
// Runs in: bulkhead-verify.  Input: answers of hostile sites.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace bulkhead::verify {

struct Reply {
  int status = 0;  // 0: no answer
  std::string head, body;
};

class Connection {
 public:
  // To 127.0.0.1.  Errors: seen at the first receive().
  explicit Connection(uint16_t port);
  bool send(std::string_view bytes);
  // Until the peer closes, or `patience` is over.
  std::string receive_all(std::chrono::milliseconds patience, size_t bytes_max = 8 << 20);
  [[nodiscard]] bool is_open() const { return fd_.valid(); }
  void close() { fd_.reset(); }

 private:
  sys::Fd fd_;
};

// The head and body in raw bytes ("HTTP/1.x" first).
[[nodiscard]] Reply parse_reply(const std::string& bytes);
// HTTP/1.0, so that the body ends with the connection.
[[nodiscard]] std::string request_text(const std::string& host, const std::string& target,
                                       const std::string& headers = "");
[[nodiscard]] Reply get(uint16_t port, const std::string& host, const std::string& target,
                        const std::string& headers = "",
                        std::chrono::milliseconds patience = std::chrono::seconds(10));
// The header by which a planted script knows verify.
[[nodiscard]] std::string token_header(const std::string& token);
// "a b/c" -> "a%20b%2Fc"
[[nodiscard]] std::string percent(std::string_view text);

}  // namespace bulkhead::verify
