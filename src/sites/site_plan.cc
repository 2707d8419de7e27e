#include "sites/site_plan.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>

#include "sites/embedded.h"
#include "sites/names.h"
#include "sites/program.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

// "a/b/c" -> "a", "a/b", "a/b/c"
std::vector<std::string> prefixes(const std::string& path) {
  std::vector<std::string> out;
  for (size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
    out.push_back(path.substr(0, at));
  }
  out.push_back(path);
  return out;
}

std::string place_of(const master::Loaded& loaded, const config::Server& server) {
  const auto& files = loaded.snapshot.ast.files;
  if (server.file >= files.size()) return "the configuration";
  return files[server.file].path + ":" + std::to_string(server.line);
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

std::string probe_address(const Record& record) {
  const std::string address = record.listen.empty() ? "80" : record.listen[0];
  const bool is_port = address.find_first_not_of("0123456789") == std::string::npos;
  if (is_port) return "0.0.0.0:" + address;
  if (address.starts_with("*:")) return "0.0.0.0" + address.substr(1);
  if (address.find(':') != std::string::npos) return address;
  return address + ":80";
}

bool user_exists(const std::string& name) {
  const bool found = ::getpwnam(name.c_str()) != nullptr;
  ::endpwent();
  return found;
}

std::string below_home(const Record& record) {
  const std::string prefix = record.home + "/";
  return record.root.starts_with(prefix) ? record.root.substr(prefix.size()) : "";
}

Status plan_setup(const Common& common, const Record& first, Plan* plan) {
  const Places& places = common.places;
  for (const char* name : {"", "/sites-available", "/sites-enabled", "/sites-disabled", "/pools",
                           "/templates", "/keys"}) {
    if (!exists(places.etc + name)) plan->add(directory_step(places.etc + name, 0755));
  }
  for (const std::string& path : {places.records(), places.archives()}) {
    if (!exists(path)) plan->add(directory_step(path, 0700));
  }
  const std::string sockets = directory_of(places.socket("x"));
  if (!exists(sockets)) plan->add(directory_step(sockets, 0711));
  if (!exists(places.homes)) plan->add(directory_step(places.homes, 0711));
  for (const EmbeddedFile& file : embedded_files()) {
    const std::string path = places.etc + "/" + std::string(file.name);
    if (exists(path)) continue;
    std::string text(file.text);
    if (path == places.config()) {
      text = fill(text, places, first);
      if (!exists("/var/log/bulkhead")) plan->add(directory_step("/var/log/bulkhead", 0755));
    }
    TRY_STATUS(plan->add(write_step(path, text)));
  }
  return {};
}

Status plan_home(const Common& common, const Record& record, Plan* plan) {
  const std::string& home = record.home;
  if (exists(home)) return fail(home + " exists already: move it away, or take another name");
  plan->add(directory_step(home, 0750, "", record.user));
  plan->add(directory_step(home + "/logs", 0750, "", record.user));
  for (const std::string& folder : record.folders) {
    const unsigned mode = folder == "private" ? 0700 : 0750;
    plan->add(directory_step(home + "/" + folder, mode, record.user, record.user));
  }
  const std::string inside = below_home(record);
  if (inside.empty()) {
    if (!exists(record.root)) {
      plan->add(directory_step(record.root, 0750, record.user, record.user));
    }
    return {};
  }
  // Below a folder of the user's, the user makes the rest.
  for (const std::string& path : prefixes(inside)) {
    if (std::find(record.folders.begin(), record.folders.end(), path) != record.folders.end()) {
      continue;
    }
    plan->add(folder_step(home, path, record.user));
  }
  (void)common;
  return {};
}

Status plan_serving(const Common& common, const Record& record, const Texts& texts, Plan* plan) {
  const Places& places = common.places;
  const bool running = server_runs(places);
  plan->add(reload_back_step(places));
  if (!texts.pool.empty()) {
    TRY_STATUS(plan->add(write_step(places.pool(record.name), texts.pool, texts.pool_look)));
    plan->add(check_pool_step(places, places.pool(record.name)));
    if (running) {
      plan->add(reload_step(places));
      plan->add(wake_step(places, record.name));
    }
  }
  TRY_STATUS(plan->add(write_step(places.available(record.name), texts.server, texts.server_look)));
  TRY_STATUS(plan->add(
      link_step(places.enabled(record.name), "../sites-available/" + record.name + ".conf")));
  plan_taking(places, plan);
  if (running) {
    plan->add(probe_step(places, record.name, probe_address(record)));
  }
  return {};
}

void plan_taking(const Places& places, Plan* plan) {
  plan->add(server_runs(places) ? reload_step(places) : check_step(places));
}

Status plan_unserving(const Common& common, const Record& record, Plan* plan) {
  const Places& places = common.places;
  plan->add(reload_back_step(places));
  for (const std::string& path :
       {places.enabled(record.name), places.disabled(record.name), places.available(record.name),
        places.pool(record.name), places.pool(record.name) + ".off"}) {
    if (exists(path)) TRY_STATUS(plan->add(delete_step(path)));
  }
  plan_taking(places, plan);
  return {};
}

Status plan_db_page(const Common& common, const Record& record, const Template& from, Plan* plan) {
  if (record.database != "mariadb" || from.db_page.empty()) return {};
  const std::string text =
      fill(TRY(template_text(common.places, from.db_page)), common.places, record);
  plan->add(page_step(record.root, from.db_page, text, record.user, 0600));
  return {};
}

Status check_names(const Common& common, const Record& record) {
  if (!exists(common.places.config())) return {};
  auto loaded = load_all(common.places);
  if (!loaded) {
    return fail("the configuration is broken as it is, mend it first: " +
                loaded.error().describe());
  }
  std::vector<std::string> names = served_names(record);
  if (record.www == "redirect") names.push_back("www." + record.name);
  for (const auto& server : loaded->model->servers) {
    for (const config::ServerName& taken : server->names) {
      if (taken.kind == config::ServerName::Kind::kRegex) continue;
      if (std::find(names.begin(), names.end(), taken.text) == names.end()) continue;
      return fail("the name " + taken.text + " is taken: " + place_of(*loaded, *server));
    }
  }
  if (loaded->pool_by_name.contains(record.name)) {
    return fail("there is a pool named " + record.name +
                " already: " + loaded->fpm->pools[loaded->pool_by_name.at(record.name)].file);
  }
  return {};
}

Result<std::string> free_user(const Common& common, const std::string& site) {
  const auto records = TRY(read_records(common.places));
  return derive_user(site, [&](const std::string& name) {
    for (const Record& record : records) {
      if (record.user == name) return true;
    }
    return user_exists(name) || sys::find_gid(name).has_value();
  });
}

Result<std::string> read_keys(const std::string& path) {
  const std::string text = TRY(sys::read_file(path, 1 << 16));
  const Ran ran = TRY(run_program({.argv = {"ssh-keygen", "-l", "-f", "-"}, .input = text}));
  if (ran.status != 0) return fail(path + " holds no public key: " + ran.errors);
  if (text.find("PRIVATE KEY") != std::string::npos) {
    return fail(path + " holds a private key: give the file that ends in .pub");
  }
  return text.ends_with('\n') ? text : text + "\n";
}

std::string database_name_for(const std::string& site) {
  constexpr size_t kDatabaseNameMax = 64;  // MariaDB, "Identifier Names"
  std::string name;
  for (char c : site) name += c == '.' || c == '-' ? '_' : c;
  return name.substr(0, kDatabaseNameMax);
}

}  // namespace bulkhead::sites
