// Where the PHP engine takes a request from and puts its response: a slot of the site's ring, or a
// test's buffers.
//
// Runs in: worker.  Input: parameters and body come from front (which took them from the network).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bulkhead::php {

// One CGI variable; name and value end in NUL and stay where they are until finish().
struct Param {
  const char* name;
  uint32_t name_size;
  const char* value;
  uint32_t value_size;
};

// What a finished request cost.
struct Usage {
  uint32_t app_status = 0;
  uint32_t cpu_us = 0;
  uint64_t memory_peak = 0;
};

enum class Finish : uint8_t {
  kEarly,  // fastcgi_finish_request(): the script goes on
  kAtEnd,
};

// Every call is noexcept: PHP leaves scripts by longjmp, so nothing may unwind through libphp.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  // In the order in which they arrived; a later one of the same name wins.
  [[nodiscard]] virtual std::span<const Param> params() const noexcept = 0;
  [[nodiscard]] virtual bool is_authorizer() const noexcept { return false; }
  // Up to `size` bytes of the request's body; 0 at its end or when the client is gone.
  // Blocks: until there are some.
  virtual size_t read_body(char* to, size_t size) noexcept = 0;
  // The complete header block, ended by an empty line.  Once, before any body.
  // The writers return false when the client is gone.  Block: while the receiver is slow.
  virtual bool write_head(std::string_view block) noexcept = 0;
  virtual bool write_body(std::string_view bytes) noexcept = 0;
  virtual bool write_stderr(std::string_view text) noexcept = 0;
  // Everything written so far goes to the client now.
  virtual bool flush() noexcept = 0;
  // The response is complete; the script may still run (fastcgi_finish_request).
  virtual void finish(const Usage& usage, Finish when) noexcept = 0;
};

}  // namespace bulkhead::php
