// See config_memory.h.
#include "pool/config_memory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace bulkhead::pool {
namespace {
constexpr off_t kBytesMax = 4 << 20;
}

Result<config::PoolConfig> read_config(sys::FdRef memory) {
  struct stat st {};
  if (fstat(memory.get(), &st) != 0) return fail_errno("fstat() failed on a pool's settings");
  if (st.st_size > kBytesMax) return fail("a pool's settings are too large");
  std::string bytes(static_cast<size_t>(st.st_size), '\0');
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n =
        pread(memory.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n <= 0) return fail_errno("cannot read a pool's settings");
    at += static_cast<size_t>(n);
  }
  return config::deserialise_pool(bytes);
}

}  // namespace bulkhead::pool
