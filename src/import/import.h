// `bulkhead import`: adopts what nginx and php-fpm serve on this machine.
//
// Runs in: bulkhead-import (root).  Input: the administrator's command line; configuration.
#pragma once

#include <string>

#include "sites/commands.h"

namespace bulkhead::import {

struct Request {
  std::string nginx, fpm;  // as typed; fpm "" : none
  bool prepare = false;    // write although another server holds the addresses
};

// Exit codes beside those of sites::Exit, documented in bulkhead-import(1).
constexpr int kExitTaken = 4;

int run(const sites::Common& common, const Request& request);

}  // namespace bulkhead::import
