// Files of share/verify, part of the program: made by CMake.
#pragma once

#include <string_view>

namespace bulkhead::verify {
[[nodiscard]] std::string_view attacker_php();
[[nodiscard]] std::string_view victim_php();
[[nodiscard]] std::string_view page_css();
}  // namespace bulkhead::verify
