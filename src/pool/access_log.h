// access.log of a pool: access.format compiled once, one line per request.
//
// Runs in: worker.  Input: hostile request values, copied into the line as php-fpm does.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pool/scoreboard.h"

namespace bulkhead::pool {

// What a line needs beside the worker's record.
struct AccessValues {
  int status = 200;
  const char* pool = "";
  int pid = 0, parent_pid = 0;
  std::string peer;  // who speaks FastCGI to the pool; empty: over a Unix socket
  std::function<const char*(std::string_view)> param;        // %{NAME}e; null: not set
  std::function<std::string_view(std::string_view)> header;  // %{NAME}o; empty: not set
};

class AccessFormat {
 public:
  // Errors: php-fpm's words for a bad format.
  static Result<AccessFormat> parse(std::string_view format);
  // Whether %C needs user and system time apart.
  [[nodiscard]] bool uses_cpu() const;
  // The line with its newline; empty when the format gives nothing.
  [[nodiscard]] std::string line(const WorkerRecord& record, const AccessValues& values) const;

 private:
  static constexpr size_t kLineMax = 1024;
  struct Token {
    char kind;         // the letter after %, or 0 for literal text
    std::string text;  // literal text, or what stands in braces
  };
  static Status check(const Token& token);
  static std::string value(const Token& token, const WorkerRecord& record,
                           const AccessValues& values);
  std::vector<Token> tokens_;
};

// access.suppress_path[]: successful GET and HEAD requests for exactly these paths, without a query
// or a body, are not logged.
[[nodiscard]] bool is_suppressed(const std::vector<std::string>& paths, const WorkerRecord& record,
                                 int status);

}  // namespace bulkhead::pool
