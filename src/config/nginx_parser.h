// Reads an nginx configuration with its includes into an Ast.
//
// Runs in: master (and `bulkhead -t`).  Input: configuration files (trusted).
// Blocks: reads files.  Ref: nginx 1.22 `include`, `-c`, `-p`, `-g`.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/ast.h"
#include "config/model.h"

namespace bulkhead::config {

constexpr int kIncludeDepthMax = 64;

// Where texts come from; replaced in tests and fuzzing.
struct FileSource {
  // The whole file.  Errors: carry errno (open(), read()).
  std::function<Result<std::string>(const std::string& path)> read;
  // Paths matching a pattern, sorted; no match is an empty list.
  std::function<std::vector<std::string>(const std::string& pattern)> glob;
  static FileSource real();
};

struct ParseOptions {
  std::string prefix;             // -p; "/" is appended when missing
  std::string global_directives;  // -g, put before the main file's directives
  Dialect dialect = Dialect::kBulkhead;
};

// Parses `path` (relative: below the prefix).  Includes are relative to the main file's directory.
// Errors: the first error of the whole configuration in reading order, as nginx -t reports it: a
//   directive that is wrong on line 3 is reported before a missing ';' on line 9.
std::expected<Ast, ConfigError> parse_file(const std::string& path, const ParseOptions& options,
                                           const FileSource& source = FileSource::real());

// What `nginx -T` prints: a "# configuration file PATH:" line before each file's verbatim text.
std::string dump_files(const Ast& ast);

// The name that stands for the file in messages about -g directives: "... in command line".
constexpr std::string_view kCommandLine = "command line";

// Set (as the name of a Directive) where parsing stopped; build_model() reports its first word.
constexpr std::string_view kErrorDirective =
    "\x01"
    "error";

}  // namespace bulkhead::config
