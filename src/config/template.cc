// Compiles text with variables.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/template.h"

#include "config/variables.h"

namespace bulkhead::config {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void add_literal(Template* out, std::string_view text) {
  if (text.empty()) return;
  if (!out->parts.empty() && out->parts.back().kind == RefKind::kLiteral) {
    out->parts.back().text += text;
  } else {
    out->parts.push_back({RefKind::kLiteral, 0, std::string(text)});
  }
}

// Reads the reference whose '$' is at text[at]; returns the position after it.
Result<size_t> add_reference(std::string_view text, size_t at, VariableNames* names,
                             Template* out) {
  if (++at == text.size()) return fail("invalid variable name");
  if (text[at] >= '1' && text[at] <= '9') {
    out->parts.push_back({RefKind::kCapture, static_cast<uint32_t>(text[at] - '0'), {}});
    return at + 1;
  }
  bool bracket = text[at] == '{';
  if (bracket && ++at == text.size()) return fail("invalid variable name");
  size_t start = at;
  while (at < text.size() && is_name_char(text[at])) ++at;
  std::string_view name = text.substr(start, at - start);
  if (bracket) {
    if (at == text.size() || text[at] != '}') {
      return fail("the closing bracket in \"" + std::string(name) + "\" variable is missing");
    }
    ++at;
  }
  if (name.empty()) return fail("invalid variable name");
  out->parts.push_back(names->refer(name));
  return at;
}

}  // namespace

Result<Template> compile_template(std::string_view text, VariableNames* names) {
  Template out;
  size_t at = 0;
  while (at < text.size()) {
    size_t dollar = text.find('$', at);
    if (dollar == std::string_view::npos) dollar = text.size();
    add_literal(&out, text.substr(at, dollar - at));
    at = dollar;
    if (at < text.size()) at = TRY(add_reference(text, at, names, &out));
  }
  return out;
}

Template literal_template(std::string_view text) {
  Template out;
  add_literal(&out, text);
  return out;
}

bool has_variables(std::string_view text) { return text.find('$') != std::string_view::npos; }

}  // namespace bulkhead::config
