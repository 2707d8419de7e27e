// One line of the php-fpm language, read as PHP's ini scanner reads it.
//
// Runs in: master.  Input: configuration (trusted).
// php-fpm hands its ini scanner one line at a time, so nothing (not even a quoted string) spans
// lines; this is kept.  Ref: observed on php-fpm 8.2 (-tt), php.net parse_ini_string.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::config {

// `[name]`, `name = value`, or `name[offset] = value`.
struct FpmStatement {
  enum class Kind { kSection, kEntry, kArray } kind = Kind::kEntry;
  std::string name;
  std::string offset;                // kArray
  std::optional<std::string> value;  // nothing: the line has no `=`
};

struct FpmLine {
  std::vector<FpmStatement> statements;  // none for blank lines and comments
  std::string syntax_error;              // PHP's words, without "PHP:  "; empty when fine
};

// Reads a line without its newline.  Constants (E_ALL) and ${NAME} (environment) are replaced.
FpmLine read_fpm_line(std::string_view line);

}  // namespace bulkhead::config
