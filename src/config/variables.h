// The variables of the nginx language: their table, and the compiler of texts that hold them.
//
// Runs in: master, front (through build_model).  Input: configuration (trusted).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "config/template.h"

namespace bulkhead::config {

// One builtin variable.  `kind` is kBuiltin, or kEmpty for those recognised without a value here.
struct VariableRow {
  std::string_view name;  // without '$'
  Var var;
  RefKind kind = RefKind::kBuiltin;
  bool writable = false;  // `set` may change it
};
std::span<const VariableRow> variable_table();
// The builtin of that name, or nullptr.
const VariableRow* find_variable(std::string_view name);
// The spelling of a builtin, without '$'.
std::string_view variable_name(Var var);

// Names a configuration defines, and the slots they got.
class VariableNames {
 public:
  // The slot of a variable that `set` or a named capture defines.
  uint32_t define_user(std::string_view name);
  void define_map(std::string_view name, uint32_t index);
  [[nodiscard]] const uint32_t* find_map(std::string_view name) const;

  // The meaning of `$name`.  A name nobody has defined yet gets a slot; see first_undefined().
  VarRef refer(std::string_view name);
  // The first variable that was referred to and never defined: `unknown "x" variable`.
  [[nodiscard]] std::optional<std::string> first_undefined() const;

  [[nodiscard]] const std::vector<std::string>& slots() const { return slots_; }

 private:
  uint32_t slot(std::string_view name);
  std::vector<std::string> slots_;
  std::vector<bool> defined_;
  std::unordered_map<std::string, uint32_t> slot_of_, maps_;
};

// Compiles text with `$x`, `${x}` and `$1`..`$9`.
// Errors: `invalid variable name`, `the closing bracket in "x" variable is missing`.
Result<Template> compile_template(std::string_view text, VariableNames* names);
// A template of one literal.
Template literal_template(std::string_view text);
// How many references (not literals) a text has, without compiling it.
bool has_variables(std::string_view text);

}  // namespace bulkhead::config
