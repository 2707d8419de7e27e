// BH_CHECK: our own bugs end the process, also in release; its parent starts it again.
#pragma once

namespace bulkhead {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define BH_CHECK(expr)                                     \
  do {                                                     \
    if (!(expr)) [[unlikely]]                              \
      ::bulkhead::check_failed(#expr, __FILE__, __LINE__); \
  } while (0)
