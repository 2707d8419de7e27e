// Conditional requests: whether to answer 200, 304 or 412, and whether Range counts.
//
// Runs in: front.  Input: header values, hostile.  Ref: RFC 9110 13; nginx 1.22 rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::http {

// "\"6563c1a0-1f4\"": mtime and size in lower-case hexadecimal, as nginx writes it.
std::string make_etag(int64_t mtime, uint64_t size);

// Whether an If-None-Match or If-Match list names `etag`; "*" names every one.  Weak comparison
// ignores W/ on both sides.
enum class EtagCompare : uint8_t { kStrong, kWeak };
bool etag_list_matches(std::string_view list, std::string_view etag, EtagCompare compare);

enum class IfModifiedSinceRule : uint8_t { kOff, kExact, kBefore };

// Absent headers are nullopt.  `etag` is "" and last_modified is nothing when the response has
// none.
struct Conditions {
  std::optional<std::string_view> if_match, if_none_match, if_modified_since, if_unmodified_since;
  std::string_view etag;
  std::optional<int64_t> last_modified;
  IfModifiedSinceRule rule = IfModifiedSinceRule::kExact;
};
enum class ConditionAnswer : uint8_t { kProceed, kNotModified, kPreconditionFailed };
ConditionAnswer evaluate_conditions(const Conditions& c);

// Whether the Range header counts beside this If-Range value (an ETag or a date).
bool if_range_holds(std::string_view if_range, std::string_view etag,
                    std::optional<int64_t> last_modified);

}  // namespace bulkhead::http
