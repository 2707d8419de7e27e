// A command line's description, read from what parses it.
//
// Runs in: bulkhead, bulkhead-site, bulkhead-verify, bulkhead-import.  Input: our own parsers.
#pragma once

#include <string_view>

#include "cli/command_tree.h"

namespace CLI {
class App;
}

namespace bulkhead::cli {

// Of a CLI11 parser: sub-commands, options, positionals, and the words that a check allows.
[[nodiscard]] Command describe(const CLI::App& app);

// Of a usage text that a program of others prescribes (nginx -h, php-fpm -h): each line that begins
// with blanks and "-x" is an option.
[[nodiscard]] Command from_usage(std::string_view name, std::string_view help,
                                 std::string_view usage);

}  // namespace bulkhead::cli
