// What is said of a command line that makes no sense: which word, and what was probably meant.
//
// Runs in: bulkhead, bulkhead-site, bulkhead-verify, bulkhead-import.
#pragma once

#include <span>
#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace bulkhead::cli {

// One line: `bulkhead site: there is no command "addd"; did you mean "add"? See: bulkhead site
// --help`.  `words`: what follows the program's name.  `reason`: the parser's own, when no word is
// unknown.
[[nodiscard]] std::string usage_fault(const CLI::App& app, std::span<char* const> words,
                                      const std::string& reason);

// Prints help or version where that was asked for (also by the word "help"), and returns 0; else
// prints the fault to standard error and returns `code`.
int end_parse(const CLI::App& app, const CLI::ParseError& error, std::span<char* const> words,
              int code);

}  // namespace bulkhead::cli
