// Whether this build has AddressSanitizer or ThreadSanitizer in it: their runtime reads /proc and
// starts a program that names the lines of a report, which a confined process may not.
//
// Runs in: every process.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BH_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BH_SANITIZED 1
#endif
#endif

namespace bulkhead {

#ifdef BH_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace bulkhead
