// PHP constants that pool files name (E_ALL & ~E_NOTICE), as PHP 8.2's ini scanner knows them.
//
// Runs in: master.  Input: configuration (trusted).  Ref: php.net, "Predefined constants" and
// "Error handling constants", PHP 8.2.
#include "config/fpm_constants.h"

namespace bulkhead::config {
namespace {

struct Constant {
  std::string_view name, value;
};
constexpr Constant kConstants[] = {
    {"E_ERROR", "1"},
    {"E_WARNING", "2"},
    {"E_PARSE", "4"},
    {"E_NOTICE", "8"},
    {"E_CORE_ERROR", "16"},
    {"E_CORE_WARNING", "32"},
    {"E_COMPILE_ERROR", "64"},
    {"E_COMPILE_WARNING", "128"},
    {"E_USER_ERROR", "256"},
    {"E_USER_WARNING", "512"},
    {"E_USER_NOTICE", "1024"},
    {"E_STRICT", "2048"},
    {"E_RECOVERABLE_ERROR", "4096"},
    {"E_DEPRECATED", "8192"},
    {"E_USER_DEPRECATED", "16384"},
    {"E_ALL", "32767"},
    {"DIRECTORY_SEPARATOR", "/"},
    {"PATH_SEPARATOR", ":"},
    {"PHP_BINDIR", "/usr/bin"},
    {"PHP_EOL", "\n"},
    {"PHP_INT_MAX", "9223372036854775807"},
    {"PHP_INT_MIN", "-9223372036854775808"},
    {"PHP_INT_SIZE", "8"},
    {"PHP_MAJOR_VERSION", "8"},
    {"PHP_MINOR_VERSION", "2"},
    {"PHP_MAXPATHLEN", "4096"},
    {"PHP_OS", "Linux"},
    {"PHP_OS_FAMILY", "Linux"},
    {"PHP_PREFIX", "/usr"},
    {"PHP_SAPI", "fpm-fcgi"},
    {"PHP_SYSCONFDIR", "/etc"},
    {"M_PI", "3.1415926535898"},
};

}  // namespace

std::optional<std::string> fpm_constant(std::string_view name) {
  for (const Constant& c : kConstants) {
    if (c.name == name) return std::string(c.value);
  }
  return std::nullopt;
}

}  // namespace bulkhead::config
