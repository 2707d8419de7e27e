// The command itself as bytes in a sealed memfd: words, environment, directories.
//
// Runs in: bulkhead (writes), pool (reads).  Input of decode: whoever may run commands in the site;
// sizes and counts are checked, bytes are passed on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::exec {

struct Order {
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value"; over the site's own
  std::string directory;         // must be entered; "" : try `hint`, else the home directory
  std::string hint;
  std::string terminal_type;  // TERM; "" without a terminal
  std::string language;       // LANG of the caller; "" : C.UTF-8
};

// Errors: a NUL byte in a word, or more than kOrderBytesMax.
[[nodiscard]] Result<std::string> encode(const Order& order);
// Errors: anything encode() would not have written.
[[nodiscard]] Result<Order> decode(std::string_view bytes);

// Reads `bytes` from memory nobody can change any more.  Errors: not sealed, not that size.
[[nodiscard]] Result<std::string> read_sealed(sys::FdRef memory, size_t bytes);

}  // namespace bulkhead::exec
