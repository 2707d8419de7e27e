// bulkhead site set, disable, enable, restart.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "base/nearest.h"
#include "config/fpm_table.h"
#include "sites/names.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

// What `site set` knows: the key people type and the directive of the pool it writes.  Any other
// directive of a pool may be named as it is.
struct Key {
  const char* key;
  const char* directive;
  const char* help;
};
constexpr Key kKeys[] = {
    {"php", "php", "PHP version"},
    {"memory", "limit.memory", "memory of the whole site: 512M"},
    {"cpu", "limit.cpu", "share of a core: 150%"},
    {"tasks", "limit.tasks", "processes and threads"},
    {"disk", "limit.disk", "space in its private directories: 2G"},
    {"io", "limit.io", "bytes a second read and written: 20M"},
    {"workers", "pm.max_children", "PHP workers at once"},
};

std::string directive_of(const std::string& key) {
  for (const Key& known : kKeys) {
    if (key == known.key) return known.directive;
  }
  return key;
}

// Keys that hold the site together are not for `set`.
bool is_fixed(const std::string& directive) {
  for (const char* name : {"user", "group", "listen", "chroot", "sandbox", "sandbox.off"}) {
    if (directive == name) return true;
  }
  return directive.starts_with("listen.") || directive.starts_with("sandbox.off");
}

bool is_directive(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '[' || c == ']' || c == '-';
  });
}

// "php_admin_value[x]" and the like are for PHP to know.
bool is_known(const std::string& directive) {
  if (directive.ends_with(']')) return true;
  const auto rows = config::fpm_pool_rows();
  return std::any_of(rows.begin(), rows.end(),
                     [&](const auto& row) { return row.name == directive; });
}

std::unexpected<Error> no_key(const std::string& key) {
  std::vector<std::string> keys{"aliases", "sftp", "shell"};
  for (const Key& known : kKeys) keys.emplace_back(known.key);
  for (const auto& row : config::fpm_pool_rows()) keys.emplace_back(row.name);
  const std::string meant = did_you_mean(key, keys);
  return fail("\"" + key + "\" is no key" +
              (meant.empty() ? "; there are: " : meant + " There are: ") + set_keys() +
              "; a setting of PHP is php_admin_value[memory_limit]=256M");
}

// "aliases=a.example,b.example" changes server_name lines.
Result<std::string> with_names(const std::string& text, const std::vector<std::string>& before,
                               const std::vector<std::string>& after) {
  auto line = [](const std::vector<std::string>& names) {
    std::string out = "server_name";
    for (const std::string& name : names) out += " " + name;
    return out + ";";
  };
  const size_t at = text.find(line(before));
  if (at == std::string::npos) {
    return fail("the line \"" + line(before) + "\" was changed by hand: change it there");
  }
  std::string out = text;
  return out.replace(at, line(before).size(), line(after));
}

Status change_names(const Common& common, const std::string& value, Record* record,
                    std::string* server) {
  const auto before = served_names(*record);
  record->aliases.clear();
  for (size_t at = 0; at < value.size();) {
    const size_t end = std::min(value.find(',', at), value.size());
    add_alias(TRY(checked_host_name(value.substr(at, end - at))), record);
    at = end + 1;
  }
  const auto after = served_names(*record);
  Record added = *record;  // the names that are new must be free
  added.aliases.clear();
  const auto loaded = TRY(load_all(common.places));
  for (const auto& other : loaded.model->servers) {
    for (const config::ServerName& taken : other->names) {
      const bool is_new = std::find(before.begin(), before.end(), taken.text) == before.end() &&
                          std::find(after.begin(), after.end(), taken.text) != after.end();
      if (is_new) return fail("the name " + taken.text + " is taken");
    }
  }
  *server = TRY(with_names(*server, before, after));
  return {};
}

struct Edited {
  Record record;
  std::string server, pool;
};

Status apply_change(const Common& common, const std::string& change, Edited* edited) {
  const size_t equals = change.find('=');
  if (equals == std::string::npos) return fail("\"" + change + "\" is not key=value");
  const std::string key = change.substr(0, equals), value = change.substr(equals + 1);
  if (key == "aliases") return change_names(common, value, &edited->record, &edited->server);
  if ((key == "sftp" || key == "shell") && (value == "on" || value == "off")) {
    (key == "sftp" ? edited->record.sftp : edited->record.shell) = value == "on";
    return {};
  }
  const std::string directive = directive_of(key);
  if (!is_directive(directive) || !is_known(directive)) return no_key(key);
  if (directive.ends_with("[]")) {
    return fail(key + " may stand in several lines: edit " +
                common.places.pool(edited->record.name) + ", then: bulkhead reload");
  }
  if (is_fixed(directive)) {
    return fail(key + " is not changed by site set: edit " +
                common.places.pool(edited->record.name) + " if you mean it");
  }
  if (!edited->record.has_pool) return fail("a static site has no pool to set " + key + " of");
  edited->pool = TRY(with_pool_value(edited->pool, directive, value));
  return {};
}

std::string pool_file(const Common& common, const Record& record) {
  return common.places.pool(record.name) + (record.disabled ? ".off" : "");
}

Result<Outcome> plan_set(const Common& common, const std::string& name,
                         const std::vector<std::string>& changes, Plan* plan) {
  const Places& places = common.places;
  Edited edited{TRY(read_record(places, name)), "", ""};
  edited.server = TRY(sys::read_file(places.available(name)));
  if (edited.record.has_pool) edited.pool = TRY(sys::read_file(pool_file(common, edited.record)));
  const Edited before = edited;
  for (const std::string& change : changes) TRY_STATUS(apply_change(common, change, &edited));
  const bool same_files = edited.server == before.server && edited.pool == before.pool;
  const bool same_ssh =
      edited.record.sftp == before.record.sftp && edited.record.shell == before.record.shell;
  if (same_files && same_ssh) {
    return Outcome{name, false, "site " + name + " has these values already: nothing to do"};
  }
  plan->add(reload_back_step(places));
  if (to_json(edited.record) != to_json(before.record)) {
    TRY_STATUS(plan->add(write_step(places.record(name), to_json(edited.record), {0600, "", ""})));
  }
  if (edited.server != before.server) {
    TRY_STATUS(plan->add(write_step(places.available(name), edited.server)));
  }
  if (edited.pool != before.pool) {
    TRY_STATUS(plan->add(write_step(pool_file(common, edited.record), edited.pool)));
  }
  if (!same_ssh) {
    TRY_STATUS(edited.record.comes_in() ? plan_ssh(common, edited.record, "", plan)
                                        : plan_no_ssh(common, edited.record, Keys::kKeep, plan));
  }
  if (same_files) return Outcome{name, true, "site " + name + " changed"};
  plan_taking(places, plan);
  if (edited.pool != before.pool && !edited.record.disabled && server_runs(places)) {
    plan->add(wake_step(places, name));
  }
  return Outcome{name, true, "site " + name + " changed"};
}

Result<Outcome> plan_disable(const Common& common, const std::string& name, Plan* plan) {
  const Places& places = common.places;
  Record record = TRY(read_record(places, name));
  if (record.disabled) return Outcome{name, false, "site " + name + " is disabled already"};
  record.disabled = true;
  plan->add(reload_back_step(places));
  TRY_STATUS(plan->add(write_step(places.record(name), to_json(record), {0600, "", ""})));
  TRY_STATUS(plan->add(write_step(places.disabled(name), TRY(disabled_text(places, record)))));
  if (exists(places.enabled(name))) TRY_STATUS(plan->add(delete_step(places.enabled(name))));
  if (record.has_pool) plan->add(move_step(places.pool(name), places.pool(name) + ".off"));
  plan_taking(places, plan);
  if (server_runs(places)) plan->add(probe_step(places, name, probe_address(record), 503));
  if (record.own_user) plan->add(kill_step(record.user));
  return Outcome{name, true, "site " + name + " disabled: it answers 503, its processes are ended"};
}

Result<Outcome> plan_enable(const Common& common, const std::string& name, Plan* plan) {
  const Places& places = common.places;
  Record record = TRY(read_record(places, name));
  if (!record.disabled) return Outcome{name, false, "site " + name + " is enabled already"};
  record.disabled = false;
  const bool running = server_runs(places);
  plan->add(reload_back_step(places));
  TRY_STATUS(plan->add(write_step(places.record(name), to_json(record), {0600, "", ""})));
  if (record.has_pool) {
    plan->add(move_step(places.pool(name) + ".off", places.pool(name)));
    plan->add(check_step(places));
    if (running) {
      plan->add(reload_step(places));
      plan->add(wake_step(places, name));
    }
  }
  TRY_STATUS(plan->add(delete_step(places.disabled(name))));
  TRY_STATUS(plan->add(link_step(places.enabled(name), "../sites-available/" + name + ".conf")));
  plan_taking(places, plan);
  if (running) plan->add(probe_step(places, name, probe_address(record)));
  return Outcome{name, true, "site " + name + " enabled"};
}

// A pool that ends is started anew by the next request: its supervisor is asked to stop as systemd
// would ask it.
Result<Outcome> plan_restart(const Common& common, const std::string& name, Plan* plan) {
  const Record record = TRY(read_record(common.places, name));
  const auto server = server_now(common.places);
  if (!server) return fail("no server runs");
  if (!record.has_pool) return fail("site " + name + " has no PHP to restart");
  auto at = server->sites.find(name);
  if (at == server->sites.end()) return fail("the server does not serve " + name);
  if (at->second.processes.empty()) {
    return Outcome{name, false,
                   "site " + name + " is asleep: it starts anew with the next request"};
  }
  plan->add(stop_pool_step(common.places, name));
  plan->add(wake_step(common.places, name));
  return Outcome{name, true, "site " + name + " restarted"};
}

}  // namespace

std::string set_keys() {
  std::string out = "aliases (NAME,NAME...), sftp (on or off), shell (on or off)";
  for (const Key& key : kKeys) out += std::string(", ") + key.key + " (" + key.help + ")";
  return out + ", or a directive of the pool's file";
}

int set_site(const Common& common, const std::string& name,
             const std::vector<std::string>& changes) {
  return run_command(common, [&](Plan* plan) { return plan_set(common, name, changes, plan); });
}
int disable_site(const Common& common, const std::string& name) {
  return run_command(common, [&](Plan* plan) { return plan_disable(common, name, plan); });
}
int enable_site(const Common& common, const std::string& name) {
  return run_command(common, [&](Plan* plan) { return plan_enable(common, name, plan); });
}
int restart_site(const Common& common, const std::string& name) {
  return run_command(common, [&](Plan* plan) { return plan_restart(common, name, plan); });
}

}  // namespace bulkhead::sites
