// What PHP's settings were made of, so that a reload can tell whether a fresh PHP would differ.
//
// Runs in: master.  Input: the command line, the environment, php.ini and conf.d (trusted; only
// looked at, never read).
#pragma once

#include <string>
#include <vector>

namespace bulkhead::master {

// A text that changes when a file changes, comes or goes that PHP reads at its start: php.ini
// (where -c, $PHPRC or php-fpm's directory say) and *.ini of $PHP_INI_SCAN_DIR or of conf.d beside
// it. `program`: of the PHP version, "bulkhead-php8.2"; `arguments`: -c, -n, -d as given. Ref:
// main/php_ini.c of PHP 8.2 and src/php/engine.cc, which must agree with it.
[[nodiscard]] std::string php_settings(const std::string& program,
                                       const std::vector<std::string>& arguments);

}  // namespace bulkhead::master
