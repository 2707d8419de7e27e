// Reads a machine's two files as the server would and says what is there.
//
// Runs in: bulkhead-import (root).  Input: configuration (trusted), web roots (their sites').
// Blocks: reads files, looks names up.
#pragma once

#include <string>

#include "import/report.h"
#include "import/secrets.h"

namespace bulkhead::import {

// `nginx`, `fpm`: absolute paths; fpm may be "".  `state`: where the
// commands that split sites keep copies.
[[nodiscard]] Report survey(const std::string& nginx, const std::string& fpm,
                            const std::string& state, const SearchBounds& bounds = {});

}  // namespace bulkhead::import
