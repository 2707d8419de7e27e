// Every directive of the php-fpm language as one row.
//
// Runs in: master.  Input: configuration (trusted).
// Ref: php.net install.fpm.configuration; php-fpm 8.2 observed with -tt.
#include "config/fpm_table.h"

#include <strings.h>
#include <syslog.h>

#include <climits>
#include <cstdlib>
#include <utility>

#include "config/pool_limits.h"
#include "config/pool_mail.h"

namespace bulkhead::config {
namespace {

using G = FpmGlobal;
using P = PoolConfig;
using enum FpmForm;

const FpmRow<G> kGlobalRows[] = {
    {"pid", kString, &G::pid, "File that holds the master's process id."},
    {"error_log", kString, &G::error_log, "Where messages go: a file, or syslog."},
    {"syslog.ident", kString, &G::syslog_ident, "Name put before each syslog line."},
    {"syslog.facility", kFacility, &G::syslog_facility, "Kind of program that logs, for syslog."},
    {"log_buffering", kBoolean, &G::log_buffering,
     "Whether workers' output is gathered into whole lines."},
    {"log_level", kLogLevel, &G::log_level, "Least serious message to log."},
    {"log_limit", kInteger, &G::log_limit, "Longest log line in bytes; longer ones are split."},
    {"emergency_restart_interval", kSeconds, &G::emergency_restart_interval_s,
     "Time span in which crashes are counted.", FpmOwner::kPhpFpm, FpmForce::kLater},
    {"emergency_restart_threshold", kInteger, &G::emergency_restart_threshold,
     "Crashed workers that make a reload.", FpmOwner::kPhpFpm, FpmForce::kLater},
    {"process_control_timeout", kSeconds, &G::process_control_timeout_s,
     "How long workers may take to follow a signal."},
    {"process.max", kInteger, &G::process_max, "Most workers of all pools together; 0 is no limit.",
     FpmOwner::kPhpFpm, FpmForce::kLater},
    {"process.priority", kInteger, &G::process_priority, "Nice value of the master, -19 to 20.",
     FpmOwner::kPhpFpm, FpmForce::kLater},
    {"daemonize", kBoolean, &G::daemonize, "Whether to go to the background."},
    {"rlimit_files", kInteger, &G::rlimit_files, "Open files the master may have.",
     FpmOwner::kPhpFpm, FpmForce::kLater},
    {"rlimit_core", kCoreLimit, &G::rlimit_core, "Core file size of the master, or unlimited.",
     FpmOwner::kPhpFpm, FpmForce::kLater},
    {"events.mechanism", kString, &G::events_mechanism, "How events are waited for; epoll here."},
    {"systemd_interval", kSeconds, &G::systemd_interval_ms, "How often systemd is told the state."},
};

const FpmRow<P> kPoolRows[] = {
    {"prefix", kString, &P::prefix, "Directory that relative paths of the pool start from."},
    {"user", kString, &P::user, "User the workers run as."},
    {"group", kString, &P::group, "Group the workers run as; the user's own by default."},
    {"listen", kString, &P::listen, "Address FastCGI requests arrive at."},
    {"listen.backlog", kInteger, &P::listen_backlog, "Connections the kernel may hold waiting."},
    {"listen.acl_users", kString, &P::listen_acl_users,
     "Users that may connect, by ACL on the socket."},
    {"listen.acl_groups", kString, &P::listen_acl_groups,
     "Groups that may connect, by ACL on the socket."},
    {"listen.owner", kString, &P::listen_owner, "Owner of the socket."},
    {"listen.group", kString, &P::listen_group, "Group of the socket."},
    {"listen.mode", kString, &P::listen_mode, "Permissions of the socket, octal."},
    {"listen.allowed_clients", kString, &P::listen_allowed_clients,
     "Addresses that may connect over TCP."},
    {"process.priority", kInteger, &P::process_priority, "Nice value of the workers, -19 to 20."},
    {"process.dumpable", kBoolean, &P::process_dumpable,
     "Whether workers may be traced and dump core."},
    {"pm", kPm, &P::pm, "How workers are kept: static, dynamic or ondemand."},
    {"pm.max_children", kInteger, &P::max_children,
     "Most workers at once; each serves one request at a time."},
    {"pm.start_servers", kInteger, &P::start_servers, "Workers to start with (dynamic)."},
    {"pm.min_spare_servers", kInteger, &P::min_spare_servers, "Fewest idle workers (dynamic)."},
    {"pm.max_spare_servers", kInteger, &P::max_spare_servers, "Most idle workers (dynamic)."},
    {"pm.max_spawn_rate", kInteger, &P::max_spawn_rate, "Most workers to start at once (dynamic)."},
    {"pm.process_idle_timeout", kSeconds, &P::process_idle_timeout_s,
     "Idle time after which a worker ends (ondemand)."},
    {"pm.max_requests", kInteger, &P::max_requests,
     "Requests after which a worker is replaced; 0 is never."},
    {"pm.status_path", kString, &P::status_path, "Address of the status page."},
    {"pm.status_listen", kString, &P::status_listen,
     "Another address that serves the status page only.", FpmOwner::kPhpFpm, FpmForce::kLater},
    {"ping.path", kString, &P::ping_path, "Address of the ping page."},
    {"ping.response", kString, &P::ping_response, "Text of the ping page."},
    {"access.log", kString, &P::access_log, "File that each request is logged to."},
    {"access.format", kString, &P::access_format, "Form of an access.log line."},
    {"slowlog", kString, &P::slowlog, "File that slow requests are logged to.", FpmOwner::kPhpFpm,
     FpmForce::kLater},
    {"request_slowlog_timeout", kSeconds, &P::request_slowlog_timeout_s,
     "Time after which a request is slow; 0 is never.", FpmOwner::kPhpFpm, FpmForce::kLater},
    {"request_slowlog_trace_depth", kInteger, &P::request_slowlog_trace_depth,
     "Call frames in a slow log entry."},
    {"request_terminate_timeout", kSeconds, &P::request_terminate_timeout_s,
     "Time after which a request's worker is killed; 0 is never."},
    {"request_terminate_timeout_track_finished", kBoolean,
     &P::request_terminate_timeout_track_finished,
     "Whether that time goes on after fastcgi_finish_request."},
    {"rlimit_files", kInteger, &P::rlimit_files, "Open files a worker may have."},
    {"rlimit_core", kCoreLimit, &P::rlimit_core, "Core file size of a worker, or unlimited."},
    {"chroot", kString, &P::chroot, "Directory that becomes the workers' root."},
    {"chdir", kString, &P::chdir, "Directory the workers start in."},
    {"catch_workers_output", kBoolean, &P::catch_workers_output,
     "Whether workers' output goes to the error log."},
    {"decorate_workers_output", kBoolean, &P::decorate_workers_output,
     "Whether such lines name pool and worker."},
    {"clear_env", kBoolean, &P::clear_env, "Whether workers start with an empty environment."},
    {"security.limit_extensions", kWords, &P::limit_extensions,
     "Endings of files that may run as PHP."},
    {"apparmor_hat", kString, &P::apparmor_hat, "AppArmor hat of the workers.", FpmOwner::kPhpFpm,
     FpmForce::kLater},
    {"sandbox", kSandbox, &P::sandbox,
     "Whether the pool is shut into its sandbox: on, strict (all layers, or it does not start), "
     "off.",
     FpmOwner::kBulkhead},
    {"limit.memory", kChecked, &P::limit_memory, "Memory of the site, as 512M.",
     FpmOwner::kBulkhead},
    {"limit.cpu", kChecked, &P::limit_cpu, "Processor share of the site, as 150% of one core.",
     FpmOwner::kBulkhead},
    {"limit.tasks", kChecked, &P::limit_tasks, "Processes and threads of the site.",
     FpmOwner::kBulkhead},
    {"limit.io", kChecked, &P::limit_io,
     "Bytes and operations per second of the site on each disk, as 20M or 20M 500.",
     FpmOwner::kBulkhead},
    {"php", kString, &P::php_version, "PHP version of the site, as 8.2.", FpmOwner::kBulkhead,
     FpmForce::kLater},
    {"idle_timeout", kSeconds, &P::idle_timeout_s,
     "Idle time after which the whole pool ends; 0 is never.", FpmOwner::kBulkhead},
    {"limit.disk", kChecked, &P::limit_disk, "Disk space of the site's private directories, as 2G.",
     FpmOwner::kBulkhead},
    {"limit.connections", kChecked, &P::limit_connections,
     "Clients that may have a request in the site at once.", FpmOwner::kBulkhead},
    {"limit.queue", kChecked, &P::limit_queue, "Requests that may wait for a worker.",
     FpmOwner::kBulkhead},
    {"limit.buffer", kChecked, &P::limit_buffer,
     "Bodies and replies that the server holds in memory for the site, as 64M.",
     FpmOwner::kBulkhead},
    {"mail.relay", kChecked, &P::mail_relay, "Where mail() hands mail in, as localhost:25.",
     FpmOwner::kBulkhead},
    {"mail.from", kChecked, &P::mail_from, "Sender of mail that names none.", FpmOwner::kBulkhead},
    {"mail.site_header", kBoolean, &P::mail_site_header,
     "Whether mail says in X-Bulkhead-Site which site sent it.", FpmOwner::kBulkhead},
};
static_assert(std::size(kPoolRows) <= 64 && std::size(kGlobalRows) <= 64);

constexpr std::pair<std::string_view, int> kFacilities[] = {
    {"AUTH", LOG_AUTH},     {"AUTHPRIV", LOG_AUTHPRIV}, {"CRON", LOG_CRON},
    {"DAEMON", LOG_DAEMON}, {"FTP", LOG_FTP},           {"KERN", LOG_KERN},
    {"LPR", LOG_LPR},       {"MAIL", LOG_MAIL},         {"NEWS", LOG_NEWS},
    {"SYSLOG", LOG_SYSLOG}, {"USER", LOG_USER},         {"UUCP", LOG_UUCP},
    {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},     {"LOCAL2", LOG_LOCAL2},
    {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},     {"LOCAL5", LOG_LOCAL5},
    {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7},
};

int clamp_to_int(long long v) {
  return static_cast<int>(v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : v);
}

std::optional<std::string_view> read_integer(const std::string& value, int* out) {
  for (size_t i = 0; i < value.size(); i++) {
    if (i == 0 && value[i] == '-') continue;
    if (value[i] < '0' || value[i] > '9')
      return "is not a valid number (greater or equal than zero)";
  }
  *out = clamp_to_int(std::strtoll(value.c_str(), nullptr, 10));
  return std::nullopt;
}

std::optional<std::string_view> read_seconds(const std::string& value, int* out) {
  if (value.empty()) return "invalid time value";
  long long unit = 1;
  switch (value.back()) {
    case 's':
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86400;
      break;
    default:
      if (value.back() < '0' || value.back() > '9') return "unknown suffix used in time value";
  }
  *out = clamp_to_int(clamp_to_int(std::strtoll(value.c_str(), nullptr, 10)) * unit);
  return std::nullopt;
}

std::optional<std::string_view> read_core_limit(const std::string& value, int* out) {
  if (fpm_same_name(value, "unlimited")) return *out = -1, std::nullopt;
  int v = 0;
  if (auto wrong = read_integer(value, &v)) return wrong;
  if (v < 0) return "must be greater than zero or 'unlimited'";
  *out = v;
  return std::nullopt;
}

std::optional<std::string_view> read_level(std::string_view value, FpmLevel* out) {
  constexpr std::pair<std::string_view, FpmLevel> kLevels[] = {
      {"debug", FpmLevel::kDebug},  {"notice", FpmLevel::kNotice}, {"warning", FpmLevel::kWarning},
      {"warn", FpmLevel::kWarning}, {"error", FpmLevel::kError},   {"alert", FpmLevel::kAlert},
  };
  for (auto [name, level] : kLevels) {
    if (fpm_same_name(value, name)) return *out = level, std::nullopt;
  }
  return "invalid value for 'log_level'";
}

std::optional<std::string_view> read_pm(std::string_view value, Pm* out) {
  if (fpm_same_name(value, "static")) return *out = Pm::kStatic, std::nullopt;
  if (fpm_same_name(value, "dynamic")) return *out = Pm::kDynamic, std::nullopt;
  if (fpm_same_name(value, "ondemand")) return *out = Pm::kOndemand, std::nullopt;
  return "invalid process manager (static, dynamic or ondemand)";
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  size_t i = 0;
  while ((i = text.find_first_not_of(" \t", i)) != std::string_view::npos) {
    size_t end = text.find_first_of(" \t", i);
    if (end == std::string_view::npos) end = text.size();
    out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

std::optional<std::string_view> pool_value_fault(std::string_view name, const std::string& value) {
  if (name.starts_with("limit.")) return limit_fault(name, value);
  return name.starts_with("mail.") ? mail_fault(name, value) : std::nullopt;
}

}  // namespace

std::span<const FpmRow<FpmGlobal>> fpm_global_rows() { return kGlobalRows; }
std::span<const FpmRow<PoolConfig>> fpm_pool_rows() { return kPoolRows; }

bool fpm_same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

int fpm_facility_number(std::string_view name) {
  for (auto [facility, number] : kFacilities) {
    if (fpm_same_name(name, facility)) return number;
  }
  return -1;
}

std::optional<bool> fpm_boolean(std::string_view value) {
  for (std::string_view yes : {"1", "on", "yes", "true"}) {
    if (fpm_same_name(value, yes)) return true;
  }
  for (std::string_view no : {"", "0", "off", "no", "false", "none", "null"}) {
    if (fpm_same_name(value, no)) return false;
  }
  return std::nullopt;
}

template <class T>
std::optional<std::string_view> fpm_store(const FpmRow<T>& row, const std::string& value, T* into) {
  switch (row.form) {
    case kInteger:
      return read_integer(value, &(into->*std::get<int T::*>(row.field)));
    case kSeconds:
      return read_seconds(value, &(into->*std::get<int T::*>(row.field)));
    case kCoreLimit:
      return read_core_limit(value, &(into->*std::get<int T::*>(row.field)));
    case kString:
      into->*std::get<std::string T::*>(row.field) = value;
      return std::nullopt;
    case kChecked:
      if (auto wrong = pool_value_fault(row.name, value)) return wrong;
      into->*std::get<std::string T::*>(row.field) = value;
      return std::nullopt;
    case kFacility:
      if (fpm_facility_number(value) < 0) return "invalid value";
      into->*std::get<std::string T::*>(row.field) = value;
      return std::nullopt;
    case kBoolean: {
      auto b = fpm_boolean(value);
      if (!b) return "invalid boolean value";
      into->*std::get<bool T::*>(row.field) = *b;
      return std::nullopt;
    }
    case kSandbox: {
      auto b = fpm_boolean(value);
      const bool strict = fpm_same_name(value, "strict");
      if (!b && !strict) return "must be on, strict or off";
      into->*std::get<std::string T::*>(row.field) = strict ? "strict" : *b ? "on" : "off";
      return std::nullopt;
    }
    case kLogLevel:
      return read_level(value, &(into->*std::get<FpmLevel T::*>(row.field)));
    case kPm:
      return read_pm(value, &(into->*std::get<Pm T::*>(row.field)));
    case kWords:
      into->*std::get<std::vector<std::string> T::*>(row.field) = split_words(value);
      return std::nullopt;
  }
  return std::nullopt;
}

template std::optional<std::string_view> fpm_store(const FpmRow<FpmGlobal>&, const std::string&,
                                                   FpmGlobal*);
template std::optional<std::string_view> fpm_store(const FpmRow<PoolConfig>&, const std::string&,
                                                   PoolConfig*);

namespace {
template <class Rows>
bool bit_of(const Rows& rows, uint64_t given, std::string_view name) {
  for (size_t i = 0; i < rows.size(); i++) {
    if (rows[i].name == name) return given >> i & 1;
  }
  return false;
}
}  // namespace

template <>
bool fpm_given(const FpmGlobal& config, std::string_view name) {
  return bit_of(fpm_global_rows(), config.given, name);
}
template <>
bool fpm_given(const PoolConfig& config, std::string_view name) {
  return bit_of(fpm_pool_rows(), config.given, name);
}

std::vector<FpmMessage> fpm_not_in_force(const FpmConfig& config) {
  std::vector<FpmMessage> out;
  auto look = [&](const auto& rows, uint64_t given, const std::string& where) {
    for (size_t i = 0; i < rows.size(); i++) {
      if (rows[i].force == FpmForce::kNow || !(given >> i & 1)) continue;
      out.push_back({FpmLevel::kWarning, where + "'" + std::string(rows[i].name) +
                                             "' is not in force in this version"});
    }
  };
  look(fpm_global_rows(), config.global.given, "");
  for (const PoolConfig& p : config.pools) look(fpm_pool_rows(), p.given, "[pool " + p.name + "] ");
  return out;
}

}  // namespace bulkhead::config
