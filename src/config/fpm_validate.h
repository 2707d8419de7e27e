// What php-fpm checks after it has read its files, in its order and its words.
//
// Runs in: master.  Input: configuration (trusted); the file system and user database as they are.
#pragma once

#include <string>

#include "config/pool_config.h"

namespace bulkhead::config {

// Fills defaults and makes paths absolute.  False: the last message says why.
bool fpm_post_process(const FpmOptions& options, FpmConfig* config);
// Looks users and groups up: as `php-fpm -t` does when options.test, else as its start does.
bool fpm_check_accounts(const FpmOptions& options, FpmConfig* config);
// Whether `format` is a valid access.format; nothing when it is, else php-fpm's warning.
std::string fpm_access_format_fault(const std::string& format);

}  // namespace bulkhead::config
