// Whether an address can be listened at.
//
// Runs in: bulkhead-import (root).
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::import {

// True when somebody listens at this address (raw bytes of a sockaddr) or would be in the way.
[[nodiscard]] bool is_taken(std::string_view sockaddr);

}  // namespace bulkhead::import
