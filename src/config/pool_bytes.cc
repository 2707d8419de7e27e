// The byte form of a PoolConfig.
//
// Runs in: master (serialise), zygote and pool (deserialise).  Input: bytes from master only.
#include "config/byte_form.h"
#include "config/pool_config.h"

namespace bulkhead::config {

template <class Form>
void fields(PhpDefine& d, Form& form) {
  form(d.name);
  form(d.value);
  form(d.kind);
}

template <class Form>
void fields(PoolConfig& p, Form& form) {
  auto all = [&](auto&... values) { (form(values), ...); };
  all(p.name, p.prefix, p.user, p.group, p.listen, p.listen_backlog, p.listen_owner, p.listen_group,
      p.listen_mode, p.listen_acl_users, p.listen_acl_groups, p.listen_allowed_clients,
      p.listen_setfib);
  all(p.process_priority, p.process_dumpable, p.pm, p.max_children, p.start_servers,
      p.min_spare_servers, p.max_spare_servers, p.max_spawn_rate, p.process_idle_timeout_s,
      p.max_requests);
  all(p.status_path, p.status_listen, p.ping_path, p.ping_response, p.access_log, p.access_format,
      p.access_suppress_paths, p.slowlog, p.request_slowlog_timeout_s,
      p.request_slowlog_trace_depth, p.request_terminate_timeout_s,
      p.request_terminate_timeout_track_finished);
  all(p.rlimit_files, p.rlimit_core, p.chroot, p.chdir, p.apparmor_hat, p.catch_workers_output,
      p.decorate_workers_output, p.clear_env, p.limit_extensions, p.env, p.php_values);
  all(p.sandbox, p.limit_memory, p.limit_cpu, p.limit_tasks, p.limit_io, p.php_version,
      p.sandbox_read, p.sandbox_write, p.sandbox_off, p.idle_timeout_s, p.file, p.line, p.given);
  all(p.limit_disk, p.limit_connections, p.limit_queue, p.limit_buffer, p.mail_relay, p.mail_from,
      p.mail_site_header);
}

std::string serialise(const PoolConfig& pool) {
  ByteWriter out;
  fields(const_cast<PoolConfig&>(pool), out);  // a writer changes nothing
  return out.take();
}

Result<PoolConfig> deserialise_pool(std::string_view bytes) {
  ByteReader in(bytes);
  PoolConfig pool;
  fields(pool, in);
  if (!in.finished()) return fail("the pool's byte form is damaged");
  return pool;
}

}  // namespace bulkhead::config
