// Whether this build has AddressSanitizer or ThreadSanitizer in it: their runtime reads /proc and
// starts a program that names the lines of a report, which a confined process may not.
//
// Runs in: every process.
#pragma once

namespace bulkhead {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

}  // namespace bulkhead
