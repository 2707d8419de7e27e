// The scripts that teach a shell to ask us (share/completion), part of the program.
//
// Runs in: bulkhead.
#pragma once

#include <span>
#include <string_view>

namespace bulkhead::cli {

struct Script {
  std::string_view shell, text;
};
[[nodiscard]] std::span<const Script> completion_scripts();

}  // namespace bulkhead::cli
