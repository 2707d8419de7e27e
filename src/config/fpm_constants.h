// PHP constants that pool files name (E_ALL & ~E_NOTICE), as PHP 8.2's ini scanner knows them.
//
// Runs in: master.  Input: configuration (trusted).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::config {

// The value of a constant as ini text; nothing when there is no such constant.
std::optional<std::string> fpm_constant(std::string_view name);

}  // namespace bulkhead::config
