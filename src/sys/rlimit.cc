#include "sys/rlimit.h"

#include <sys/resource.h>

#include <algorithm>

namespace bulkhead::sys {

NofileLimit nofile_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return {limit.rlim_cur, limit.rlim_max};
}

Status raise_nofile(uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return {};
  limit.rlim_cur = wanted;
  limit.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) {
    return fail_errno("setrlimit(RLIMIT_NOFILE, " + std::to_string(wanted) + ") failed");
  }
  return {};
}

Status set_nofile(uint64_t wanted) {
  rlimit limit{wanted, wanted};
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) {
    return fail_errno("setrlimit(RLIMIT_NOFILE, " + std::to_string(wanted) + ") failed");
  }
  return {};
}

Status set_core_size(uint64_t bytes) {
  rlimit limit{bytes, bytes};
  if (::setrlimit(RLIMIT_CORE, &limit) < 0) {
    return fail_errno("setrlimit(RLIMIT_CORE, " + std::to_string(bytes) + ") failed");
  }
  return {};
}

}  // namespace bulkhead::sys
