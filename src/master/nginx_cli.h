// nginx's command line: the same options, texts and exit codes.
//
// Runs in: bulkhead.  Input: the administrator's command line.  Ref: nginx(8) 1.22, observed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "master/options.h"

namespace bulkhead::master {

struct NginxCli {
  Options options;
  bool help = false, version = false, configure = false;  // -h, -v or -V, -V
  std::string signal;                                     // -s: stop, quit, reopen, reload; "" none
  std::string error;                                      // not empty: "nginx: " + error, exit 1
};
[[nodiscard]] NginxCli parse_nginx_cli(std::span<char* const> arguments);

// What -h and -V print (on stderr).
[[nodiscard]] std::string nginx_version_text(const NginxCli& cli);

}  // namespace bulkhead::master
