// The php-fpm language: [global] and [pool] settings as values, with php-fpm's checks and wording.
//
// Runs in: master (parses), zygote and pool (receive a PoolConfig as bytes from master).
// Input: configuration (trusted).  Ref: php-8.2 sapi/fpm/fpm/fpm_conf.c (behaviour), php.net
// install.fpm.configuration; every directive of shared research 4.1 and 4.2.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace bulkhead::config {

enum class FpmLevel : uint8_t { kDebug = 1, kNotice, kWarning, kError, kAlert };

struct FpmGlobal {
  std::string pid, error_log, syslog_facility = "daemon", syslog_ident = "php-fpm",
                              events_mechanism;
  FpmLevel log_level = FpmLevel::kNotice;
  int log_limit = 1024;
  bool log_buffering = true, daemonize = true;
  int emergency_restart_threshold = 0, emergency_restart_interval_s = 0,
      process_control_timeout_s = 0;
  int process_max = 0, process_priority = 64 /* unset */, rlimit_files = 0, rlimit_core = 0;
  int systemd_interval_ms = 10000;
  uint64_t given = 0;  // bit i: row i of fpm_global_rows() was written in the file
};

enum class Pm : uint8_t { kStatic = 1, kDynamic, kOndemand };
struct PhpDefine {
  std::string name, value;
  enum class Kind : uint8_t { kValue, kFlag, kAdminValue, kAdminFlag } kind;
};
struct PoolConfig {
  std::string name, prefix, user, group, listen;
  int listen_backlog = -1;  // -1: the kernel's maximum, as Debian's php-fpm
  std::string listen_owner, listen_group, listen_mode, listen_acl_users, listen_acl_groups,
      listen_allowed_clients;
  int listen_setfib = -1;
  int process_priority = 64;  // 64: unset
  bool process_dumpable = false;
  Pm pm = Pm::kDynamic;
  int max_children = 0, start_servers = 0, min_spare_servers = 0, max_spare_servers = 0,
      max_spawn_rate = 32;
  int process_idle_timeout_s = 10, max_requests = 0;
  std::string status_path, status_listen, ping_path, ping_response = "pong";
  std::string access_log, access_format = "%R - %u %t \"%m %r\" %s";
  std::vector<std::string> access_suppress_paths;
  std::string slowlog;
  int request_slowlog_timeout_s = 0, request_slowlog_trace_depth = 20;
  int request_terminate_timeout_s = 0;
  bool request_terminate_timeout_track_finished = false;
  int rlimit_files = 0, rlimit_core = 0;
  std::string chroot, chdir, apparmor_hat;
  bool catch_workers_output = false, decorate_workers_output = true, clear_env = true;
  std::vector<std::string> limit_extensions;  // default {".php", ".phar"}
  // env[] with `$NAME` replaced by master's own variable.  Both lists stand in the order php-fpm
  // applies them, a later entry overriding an earlier one; that is the reverse of the file, so the
  // first line written for a name wins.  In php_values every admin entry follows the others.
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<PhpDefine> php_values;  // flags have the value "1" or "0"
  // env[] as written, for dump_fpm only (not serialised).
  std::vector<std::pair<std::string, std::string>> env_written;
  // Bulkhead's own keys
  std::string sandbox = "on", limit_memory, limit_cpu, limit_tasks, limit_io, php_version;
  std::string limit_disk, limit_connections, limit_queue, limit_buffer;  // see pool_limits.h
  std::string mail_relay, mail_from;
  bool mail_site_header = false;
  std::vector<std::string> sandbox_read, sandbox_write, sandbox_off;
  int idle_timeout_s =
      0;  // 0: the pool process stays while awake by its pm; else it exits when idle this long
  // where it was written, for messages
  std::string file;
  uint32_t line = 0;
  uint64_t given = 0;  // bit i: row i of fpm_pool_rows() was written in the file
};

// A line php-fpm would log while it loads the configuration: "[pool a] ..." is part of the text.
struct FpmMessage {
  FpmLevel level = FpmLevel::kError;
  std::string text;
  bool raw = false;  // printed as it is, without time and level: "PHP:  syntax error, ..."
};
struct FpmConfig {
  FpmGlobal global;
  std::vector<PoolConfig> pools;
  std::string path;                  // of the main file
  std::vector<FpmMessage> messages;  // warnings and notices gathered while loading
};
struct FpmOptions {
  std::string prefix;        // -p; default given by the caller
  std::string pid_override;  // -g
  bool allow_root = false;   // -R
  bool as_root = true;       // running as root: user is required
  bool bulkhead_keys = true;
  // `-t`: names of users and groups are looked up as php-fpm -t does; else as php-fpm's start does
  // (root refused, ACL names checked, directives without force noted when not root).
  bool test = false;
};
// Reads the file and its includes, validates, and fills defaults as php-fpm does.  Opens and makes
// no log file: that an access.log, slowlog or error_log can be made is checked by its directory.
// On failure the messages are php-fpm's own lines, but for the last ("FPM initialization failed"),
// which the caller says.
// Messages below log_level are left out, as php-fpm does once it has read it.
std::expected<FpmConfig, std::vector<FpmMessage>> load_fpm(const std::string& path,
                                                           const FpmOptions& options);
// The same for files that hold pools only, as named by Bulkhead's `pools GLOB;`: they are read as
// if a main file included each pattern in turn.  No pattern and no match is not an error here.
std::expected<FpmConfig, std::vector<FpmMessage>> load_fpm_pools(
    const std::vector<std::string>& globs, const FpmOptions& options);
// The lines of `php-fpm -tt` (without the "[time] NOTICE: " prefix).
std::vector<std::string> dump_fpm(const FpmConfig& config);

// One warning per directive that is written but has no effect in this version; for the start's log.
std::vector<FpmMessage> fpm_not_in_force(const FpmConfig& config);
// Level as php-fpm prints it: "NOTICE".
const char* fpm_level_name(FpmLevel level);

std::string serialise(const PoolConfig& pool);
Result<PoolConfig> deserialise_pool(std::string_view bytes);

}  // namespace bulkhead::config
