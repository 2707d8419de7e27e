// PCRE2 with JIT and a match limit, so no pattern can stop the event loop.
//
// Runs in: master (compiles to validate), front (matches hostile subjects).
// Threads: a Regex is immutable after compile() and may be shared; match data is per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::config {

enum class RegexCase : uint8_t { kSensitive, kInsensitive };
enum class MatchResult : uint8_t {
  kNo,
  kYes,
  kLimit
};  // kLimit: match limit or JIT stack exceeded

// Offsets of group 0, 1, ... in the subject: pairs (start, end); start == npos for an unset group.
struct Captures {
  static constexpr size_t kMax = 32;  // groups kept; more may exist in the pattern
  size_t count = 0;                   // groups set, group 0 included
  size_t at[2 * kMax];
};

class Regex {
 public:
  // Errors: PCRE2's message with the offset, in nginx's wording:
  //   pcre2_compile() failed: missing closing parenthesis in "(a" at "..."
  static Result<std::shared_ptr<const Regex>> compile(std::string_view pattern, RegexCase how);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // Threads: any.  Bounded by kMatchLimit backtracking steps (about 50 ms at worst).
  MatchResult match(std::string_view subject, Captures* captures) const;

  struct NamedGroup {
    std::string name;
    uint32_t number;
  };
  [[nodiscard]] const std::vector<NamedGroup>& named_groups() const { return named_; }
  [[nodiscard]] uint32_t group_count() const { return group_count_; }
  [[nodiscard]] const std::string& pattern() const { return pattern_; }

 private:
  Regex() = default;
  void* code_ = nullptr;
  std::string pattern_;
  std::vector<NamedGroup> named_;
  uint32_t group_count_ = 0;
};

using RegexPtr = std::shared_ptr<const Regex>;

}  // namespace bulkhead::config
