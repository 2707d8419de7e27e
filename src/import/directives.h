// Which directives of a configuration are not in force here, from the tables that the parser reads.
//
// Runs in: bulkhead-import (root).  Input: configuration (trusted).
#pragma once

#include "config/ast.h"
#include "import/report.h"

namespace bulkhead::import {

// Fills `problems` and `ignored`.
void look_at_directives(const config::Ast& ast, Report* report);

[[nodiscard]] std::string place(const config::Ast& ast, uint32_t file, uint32_t line);

}  // namespace bulkhead::import
