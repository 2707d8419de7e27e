// The tables behind seccomp.h: names of system calls and what happens to them.
//
// Runs in: see seccomp.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bulkhead::sandbox {

// Names separated by blanks, as in the manual's section 2.
struct CallList {
  std::string_view names;
  uint32_t action;  // SCMP_ACT_...
};

// One comparison with an argument.  Where the kernel reads only 32 bits (int), kBits and kIs must
// too, or a caller sets a higher bit and passes by; kAbove and kIsNot then refuse too much, not too
// little.
struct ArgTest {
  enum Kind : uint8_t { kNone, kIs, kBits, kIsNot, kAbove } kind = kNone;
  unsigned arg = 0;
  uint32_t value = 0;          // kBits: all of these are set
  uint32_t mask = 0xffffffff;  // kIs: only these bits are compared
};
// Holds when both tests do.
struct ArgRule {
  std::string_view name;
  uint32_t action;
  ArgTest first, second{};
};

struct RuleSet {
  uint32_t otherwise;  // for calls that are in no list
  std::span<const CallList> calls;
  std::span<const ArgRule> allowed;  // only with these arguments; else `otherwise`
  std::span<const ArgRule> refused;  // among what `calls` allows
};

[[nodiscard]] const RuleSet& site_rules();
[[nodiscard]] const RuleSet& front_rules();
[[nodiscard]] const RuleSet& opener_rules();

// Calls that are younger than the libseccomp of Debian 12, by name; -1: not one of these.
// They have the same number on every architecture.
[[nodiscard]] int younger_call(std::string_view name);

}  // namespace bulkhead::sandbox
