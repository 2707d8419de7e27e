// php-fpm's command line: the same options, texts and exit codes.
//
// Runs in: bulkhead.  Input: the administrator's command line.
// Ref: php-fpm(8) 8.2, observed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "master/options.h"

namespace bulkhead::master {

// Exit codes of php-fpm.
constexpr int kExitUsage = 64;     // EX_USAGE
constexpr int kExitSoftware = 70;  // EX_SOFTWARE
constexpr int kExitConfig = 78;    // EX_CONFIG

struct FpmCli {
  Options options;
  enum class Ask : uint8_t {
    kServe,
    kHelp,
    kUsageError,
    kVersion,
    kModules,
    kInfo
  } ask = Ask::kServe;
};
[[nodiscard]] FpmCli parse_fpm_cli(std::span<char* const> arguments);
[[nodiscard]] std::string_view fpm_usage();

}  // namespace bulkhead::master
