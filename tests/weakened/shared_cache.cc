// A deliberately broken step, for tests only: a pool that keeps the zygote's opcache, as stock
// php-fpm's pools do.  `bulkhead verify` must notice (tests/e2e/test_verify.py).
//
// Linked before the real one, into a program that is never installed.
#include "sys/private_memory.h"

namespace bulkhead::sys {
Status make_shared_memory_private() { return {}; }
}  // namespace bulkhead::sys
