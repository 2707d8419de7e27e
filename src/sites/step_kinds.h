// The rows of each family of steps; step_kinds() joins them.
//
// Runs in: bulkhead-site.
#pragma once

#include <span>

#include "sites/step.h"

namespace bulkhead::sites {

[[nodiscard]] std::span<const StepKind> file_kinds();
[[nodiscard]] std::span<const StepKind> tree_kinds();
[[nodiscard]] std::span<const StepKind> account_kinds();
[[nodiscard]] std::span<const StepKind> server_kinds();
[[nodiscard]] std::span<const StepKind> database_kinds();

}  // namespace bulkhead::sites
