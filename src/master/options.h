// What the command line asked for, after it was understood; handed from `bulkhead` to
// `bulkhead-master` as plain arguments.
//
// Runs in: bulkhead (makes it), master (obeys it).  Input: the administrator's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::master {

// Which original the server stands for.
enum class Kind : uint8_t { kServe, kNginx, kFpm };

// What to do beside serving.
enum class Test : uint8_t { kNo, kTest, kDump };

struct Options {
  Kind kind = Kind::kServe;
  std::string nginx_conf;         // "" : none
  std::string fpm_conf;           // "" : none
  bool bulkhead_conf = false;     // nginx_conf is in Bulkhead's dialect (`pools`, `user` in server)
  std::string prefix;             // -p of either program
  std::string error_log;          // -e
  std::string global_directives;  // -g of nginx
  std::string pid;                // -g/--pid of php-fpm; --pid of bulkhead
  std::string state;              // --state: the sites' private directories; "": the default
  std::vector<std::string> php_args;  // -c, -n, -d for PHP, as given
  std::optional<bool> daemonize;      // -D, -F
  bool force_stderr = false;          // -O
  bool allow_root = false;            // -R
  Test test = Test::kNo;
  bool quiet = false;        // -q
  std::string command_line;  // what `ps` shows after "master process"
};

// The arguments that carry `options`, and back.
[[nodiscard]] std::vector<std::string> to_arguments(const Options& options);
[[nodiscard]] Result<Options> from_arguments(std::span<char* const> arguments);

// Debian's places, where both programs look when nothing is said.
constexpr std::string_view kNginxPrefix = "/usr/share/nginx/";
constexpr std::string_view kNginxConf = "/etc/nginx/nginx.conf";
constexpr std::string_view kNginxErrorLog = "stderr";
constexpr std::string_view kNginxPid = "/run/nginx.pid";
constexpr std::string_view kNginxAccessLog = "/var/log/nginx/access.log";
constexpr std::string_view kFpmPrefix = "/usr";
constexpr std::string_view kBulkheadConf = "/etc/bulkhead/bulkhead.conf";
constexpr std::string_view kBulkheadPid = "/run/bulkhead.pid";
constexpr std::string_view kBulkheadAccessLog = "/var/log/bulkhead/access.log";
constexpr std::string_view kNginxVersion = "nginx/1.22.1";

}  // namespace bulkhead::master
