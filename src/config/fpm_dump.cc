// The lines of `php-fpm -tt`: what a configuration says, defaults filled in.
//
// Runs in: master.  Input: a loaded configuration (trusted).
#include "config/fpm_table.h"
#include "config/pool_config.h"

namespace bulkhead::config {
namespace {

constexpr int kPriorityUnset = 64;

const char* pm_name(Pm pm) {
  switch (pm) {
    case Pm::kStatic:
      return "static";
    case Pm::kDynamic:
      return "dynamic";
    case Pm::kOndemand:
      return "ondemand";
  }
  return "";
}

// Fills lines of the form "\tname = value".
class Dump {
 public:
  std::vector<std::string> lines;

  void head(const std::string& name) { lines.push_back("[" + name + "]"); }
  void foot() { lines.emplace_back(" "); }
  void text(const std::string& name, const std::string& value) {
    lines.push_back("\t" + name + " = " + value);
  }
  void text(const std::string& name, const std::string& value, bool is_set) {
    text(name, is_set ? value : "undefined");
  }
  void number(const std::string& name, int value) { text(name, std::to_string(value)); }
  void seconds(const std::string& name, int value) { text(name, std::to_string(value) + "s"); }
  void boolean(const std::string& name, bool value) { text(name, value ? "yes" : "no"); }
  void priority(int value) {
    text("process.priority", std::to_string(value), value != kPriorityUnset);
  }
};

void dump_global(const FpmGlobal& g, Dump* d) {
  d->head("global");
  d->text("pid", g.pid, !g.pid.empty());
  d->text("error_log", g.error_log);
  d->text("syslog.ident", g.syslog_ident);
  d->number("syslog.facility", fpm_facility_number(g.syslog_facility));
  d->boolean("log_buffering", g.log_buffering);
  d->text("log_level", "unknown value");  // what 8.2 prints, whatever the level is
  d->number("log_limit", g.log_limit);
  d->seconds("emergency_restart_interval", g.emergency_restart_interval_s);
  d->number("emergency_restart_threshold", g.emergency_restart_threshold);
  d->seconds("process_control_timeout", g.process_control_timeout_s);
  d->number("process.max", g.process_max);
  d->priority(g.process_priority);
  d->boolean("daemonize", g.daemonize);
  d->number("rlimit_files", g.rlimit_files);
  d->number("rlimit_core", g.rlimit_core);
  d->text("events.mechanism", g.events_mechanism);
  d->seconds("systemd_interval", g.systemd_interval_ms / 1000);
  d->foot();
}

void dump_listen(const PoolConfig& p, Dump* d) {
  d->text("prefix", p.prefix, fpm_given(p, "prefix"));
  d->text("user", p.user, fpm_given(p, "user"));
  d->text("group", p.group, fpm_given(p, "group"));
  d->text("listen", p.listen);
  d->number("listen.backlog", p.listen_backlog);
  d->text("listen.acl_users", p.listen_acl_users, fpm_given(p, "listen.acl_users"));
  d->text("listen.acl_groups", p.listen_acl_groups, fpm_given(p, "listen.acl_groups"));
  d->text("listen.owner", p.listen_owner, fpm_given(p, "listen.owner"));
  d->text("listen.group", p.listen_group, fpm_given(p, "listen.group"));
  d->text("listen.mode", p.listen_mode, fpm_given(p, "listen.mode"));
  d->text("listen.allowed_clients", p.listen_allowed_clients,
          fpm_given(p, "listen.allowed_clients"));
}

void dump_processes(const PoolConfig& p, Dump* d) {
  d->priority(p.process_priority);
  d->boolean("process.dumpable", p.process_dumpable);
  d->text("pm", pm_name(p.pm));
  d->number("pm.max_children", p.max_children);
  d->number("pm.start_servers", p.start_servers);
  d->number("pm.min_spare_servers", p.min_spare_servers);
  d->number("pm.max_spare_servers", p.max_spare_servers);
  d->number("pm.max_spawn_rate", p.max_spawn_rate);
  d->number("pm.process_idle_timeout", p.process_idle_timeout_s);
  d->number("pm.max_requests", p.max_requests);
}

void dump_pages_and_logs(const PoolConfig& p, Dump* d) {
  d->text("pm.status_path", p.status_path,
          fpm_given(p, "pm.status_path") || fpm_given(p, "pm.status_listen"));
  d->text("pm.status_listen", p.status_listen, fpm_given(p, "pm.status_listen"));
  d->text("ping.path", p.ping_path, fpm_given(p, "ping.path"));
  d->text("ping.response", p.ping_response, !p.ping_path.empty());
  d->text("access.log", p.access_log, fpm_given(p, "access.log"));
  d->text("access.format", p.access_format, fpm_given(p, "access.format") || !p.access_log.empty());
  for (const std::string& path : p.access_suppress_paths) d->text("access.suppress_path[]", path);
  d->text("slowlog", p.slowlog, fpm_given(p, "slowlog"));
  d->seconds("request_slowlog_timeout", p.request_slowlog_timeout_s);
  d->number("request_slowlog_trace_depth", p.request_slowlog_trace_depth);
  d->seconds("request_terminate_timeout", p.request_terminate_timeout_s);
  d->boolean("request_terminate_timeout_track_finished",
             p.request_terminate_timeout_track_finished);
}

void dump_environment(const PoolConfig& p, Dump* d) {
  d->number("rlimit_files", p.rlimit_files);
  d->number("rlimit_core", p.rlimit_core);
  d->text("chroot", p.chroot, fpm_given(p, "chroot"));
  d->text("chdir", p.chdir, fpm_given(p, "chdir"));
  d->boolean("catch_workers_output", p.catch_workers_output);
  d->boolean("decorate_workers_output", p.decorate_workers_output);
  d->boolean("clear_env", p.clear_env);
  std::string words;
  for (const std::string& w : p.limit_extensions) (words += words.empty() ? "" : " ") += w;
  d->text("security.limit_extensions", words);
  for (const auto& [name, value] : p.env_written) d->text("env[" + name + "]", value);
  for (const PhpDefine& v : p.php_values) {
    bool admin = v.kind == PhpDefine::Kind::kAdminValue || v.kind == PhpDefine::Kind::kAdminFlag;
    d->text((admin ? "php_admin_value[" : "php_value[") + v.name + "]", v.value);
  }
}

// Keys of Bulkhead are shown only where they were written, so that a plain pool dumps as in
// php-fpm.
void dump_own(const PoolConfig& p, Dump* d) {
  for (const FpmRow<PoolConfig>& row : fpm_pool_rows()) {
    if (row.owner != FpmOwner::kBulkhead || !fpm_given(p, row.name)) continue;
    if (auto* field = std::get_if<std::string PoolConfig::*>(&row.field)) {
      d->text(std::string(row.name), p.*(*field));
    } else {
      d->seconds(std::string(row.name), p.idle_timeout_s);
    }
  }
  for (const std::string& path : p.sandbox_read) d->text("sandbox.read[]", path);
  for (const std::string& path : p.sandbox_write) d->text("sandbox.write[]", path);
  for (const std::string& layer : p.sandbox_off) d->text("sandbox.off[]", layer);
}

}  // namespace

std::vector<std::string> dump_fpm(const FpmConfig& config) {
  Dump d;
  dump_global(config.global, &d);
  for (const PoolConfig& p : config.pools) {
    d.head(p.name);
    dump_listen(p, &d);
    dump_processes(p, &d);
    dump_pages_and_logs(p, &d);
    dump_environment(p, &d);
    dump_own(p, &d);
    d.foot();
  }
  return d.lines;
}

}  // namespace bulkhead::config
