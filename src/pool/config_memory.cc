// See config_memory.h.
#include "pool/config_memory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace bulkhead::pool {
namespace {
constexpr off_t kBytesMax = 16 << 20;

Result<std::string> read_all(sys::FdRef memory) {
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
  return bytes;
}

}  // namespace

Result<config::PoolConfig> read_config(sys::FdRef memory, size_t bytes) {
  const std::string all = TRY(read_all(memory));
  return config::deserialise_pool(std::string_view(all).substr(0, bytes == 0 ? all.size() : bytes));
}

Result<sandbox::SitePolicy> read_policy(sys::FdRef memory, size_t config_bytes) {
  const std::string all = TRY(read_all(memory));
  return sandbox::deserialise_policy(
      std::string_view(all).substr(std::min(config_bytes, all.size())));
}

}  // namespace bulkhead::pool
