// Bytes that nobody can change any more, to hand to another process: a sealed memfd.
//
// Runs in: master (makes).
#pragma once

#include <string_view>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// A memfd holding `bytes`, sealed against writing, growing and shrinking.
[[nodiscard]] Result<Fd> create_sealed(const char* name, std::string_view bytes);

}  // namespace bulkhead::sys
