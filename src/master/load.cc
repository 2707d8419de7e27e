#include "master/load.h"

#include <glob.h>
#include <malloc.h>

#include <algorithm>
#include <thread>

#include "config/nginx_parser.h"
#include "master/site_policies.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/sockets.h"
#include "sys/users.h"

namespace bulkhead::master {
namespace {

std::unexpected<LoadError> nginx_error(std::string text, const Options& o, uint32_t line = 0) {
  config::ConfigError error;
  error.text = std::move(text);
  error.line = line;
  if (line != 0) error.file = o.nginx_conf;
  return std::unexpected(LoadError{std::move(error), {}});
}
std::unexpected<LoadError> fpm_error(std::string text) {
  return std::unexpected(LoadError{{}, {{config::FpmLevel::kError, std::move(text)}}});
}

std::expected<void, LoadError> load_nginx(const Options& o, Loaded* out) {
  out->snapshot.build = build_options(o);
  if (o.nginx_conf.empty()) {
    // Only pools are served: a configuration without servers.
    config::Directive events;
    events.name = "events";
    events.is_block = true;
    out->snapshot.ast.top.push_back(std::move(events));
    auto model = config::build_model(out->snapshot.ast, out->snapshot.build, nullptr);
    if (!model) return std::unexpected(LoadError{model.error(), {}});
    out->model = std::move(*model);
    return {};
  }
  config::ParseOptions parse{o.prefix.empty() ? std::string(kNginxPrefix) : o.prefix,
                             o.global_directives, out->snapshot.build.dialect};
  auto ast = config::parse_file(o.nginx_conf, parse);
  if (!ast) {
    config::ConfigError error = std::move(ast.error());
    // nginx's level for a file that opens but cannot be read (a directory).
    if (error.text.starts_with("pread() ")) error.level = config::LogLevel::kCrit;
    return std::unexpected(LoadError{std::move(error), {}});
  }
  auto model = config::build_model(*ast, out->snapshot.build, &out->warnings);
  if (!model) return std::unexpected(LoadError{model.error(), {}});
  out->snapshot.ast = std::move(*ast);
  out->model = std::move(*model);
  return {};
}

std::expected<void, LoadError> load_pools(const Options& o, Loaded* out) {
  if (o.kind == Kind::kNginx) return {};
  const std::vector<std::string>& globs = out->model->pools_globs;
  if (o.fpm_conf.empty() && globs.empty()) return {};
  config::FpmOptions options;
  options.prefix = o.kind == Kind::kFpm ? o.prefix : "";
  options.pid_override = o.kind == Kind::kFpm ? o.pid : "";
  options.allow_root = o.allow_root;
  options.as_root = sys::is_root();
  options.test = o.test != Test::kNo;
  auto fpm = o.fpm_conf.empty() ? config::load_fpm_pools(globs, options)
                                : config::load_fpm(o.fpm_conf, options);
  if (!fpm) return std::unexpected(LoadError{{}, std::move(fpm.error())});
  // No file matches `pools`: as if it were not written.
  if (o.fpm_conf.empty() && fpm->pools.empty()) return {};
  out->fpm = std::move(*fpm);
  return {};
}

// Users must exist before anything is touched.
std::expected<void, LoadError> check_users(const Options& o, Loaded* loaded) {
  if (!sys::is_root()) return {};
  for (const config::Site& site : loaded->snapshot.sites) {
    auto who = sys::find_identity(site.user, site.group);
    if (who) {
      loaded->identities.push_back(std::move(*who));
    } else {
      if (site.has_pool) return fpm_error("[pool " + site.name + "] " + who.error().text);
      if (!sys::find_uid(site.user)) {
        return nginx_error("getpwnam(\"" + site.user + "\") failed", o);
      }
      return nginx_error("getgrnam(\"" + site.group + "\") failed", o);
    }
  }
  return {};
}

std::expected<void, LoadError> pool_listeners(Loaded* out) {
  if (!out->fpm) return {};
  std::unordered_map<std::string, uint32_t> site_ids;
  for (const config::Site& site : out->snapshot.sites) {
    if (site.has_pool) site_ids[site.name] = site.id;
  }
  std::unordered_map<std::string, const config::Listen*> taken;
  for (const config::Listen& listen : out->model->listens) {
    taken[sys::address_text(listen.sockaddr)] = &listen;
  }
  for (size_t i = 0; i < out->fpm->pools.size(); ++i) {
    const config::PoolConfig& pool = out->fpm->pools[i];
    out->pool_by_name[pool.name] = i;
    auto address = sys::parse_pool_listen(pool.listen);
    if (!address) return fpm_error("[pool " + pool.name + "] " + address.error().text);
    if (auto server = taken.find(sys::address_text(*address)); server != taken.end()) {
      return fpm_error("[pool " + pool.name + "] the address '" + pool.listen +
                       "' is also that of a server (\"listen " + server->second->text + "\")");
    }
    auto site = site_ids.find(pool.name);
    if (site == site_ids.end()) continue;
    out->pool_addresses.push_back(std::move(*address));
    out->pool_of_listener.push_back(i);
    out->snapshot.pool_listen_sites.push_back(site->second);
  }
  return {};
}

uint32_t loop_count(const Options& o, const config::Model& model) {
  uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  uint32_t wanted = o.nginx_conf.empty() ? cores : model.worker_processes;
  return std::clamp(wanted == 0 ? cores : wanted, 1u, kLoopsMax);
}

}  // namespace

const config::PoolConfig* Loaded::pool_of(const config::Site& site) const {
  if (!site.has_pool || !fpm) return nullptr;
  auto at = pool_by_name.find(site.name);
  return at == pool_by_name.end() ? nullptr : &fpm->pools[at->second];
}

config::BuildOptions build_options(const Options& o) {
  config::BuildOptions build;
  build.dialect = o.kind == Kind::kServe ? config::Dialect::kBulkhead : config::Dialect::kNginx;
  build.default_error_log = o.error_log.empty() ? std::string(kNginxErrorLog) : o.error_log;
  // As php-fpm there is one log, and front's lines are of the other kind; what a client of a pool
  // must know it is told as FastCGI's error stream.
  if (o.kind == Kind::kFpm) build.default_error_log = "/dev/null";
  build.default_pid = o.kind == Kind::kServe ? kBulkheadPid : kNginxPid;
  build.default_access_log = o.bulkhead_conf ? kBulkheadAccessLog : kNginxAccessLog;
  return build;
}

std::string default_fpm_conf() {
  glob_t found{};
  std::string path = "/etc/php/8.2/fpm/php-fpm.conf";
  if (::glob("/etc/php/*/fpm/php-fpm.conf", 0, nullptr, &found) == 0 && found.gl_pathc > 0) {
    path = found.gl_pathv[found.gl_pathc - 1];
  }
  ::globfree(&found);
  return path;
}

std::expected<Loaded, LoadError> load(const Options& options) {
  Loaded out;
  if (auto done = load_nginx(options, &out); !done) return std::unexpected(done.error());
  if (auto done = load_pools(options, &out); !done) return std::unexpected(done.error());
  const config::FpmConfig* pools = out.fpm ? &*out.fpm : nullptr;
  if (auto paired = config::pair_sites(*out.model, pools, &out.snapshot, &out.warnings); !paired) {
    return nginx_error(paired.error().describe(), options);
  }
  if (auto done = check_users(options, &out); !done) return std::unexpected(done.error());
  out.snapshot.pool_listen_sites.clear();
  if (auto done = pool_listeners(&out); !done) return std::unexpected(done.error());
  make_policies(options, &out);
  // Front looks no name up: it builds with the answers master got (of listen and upstreams).
  out.snapshot.resolved = out.model->resolved;
  out.snapshot.loops = loop_count(options, *out.model);
  out.snapshot.role = options.kind == Kind::kServe   ? "serve"
                      : options.kind == Kind::kNginx ? "nginx"
                                                     : "php-fpm";
  return out;
}

void keep_what_serving_needs(Loaded* loaded) {
  config::pack(&loaded->snapshot);
  // Copies beside each other: left where they are, each would keep a page of what went.
  std::vector<std::unique_ptr<config::Server>> servers(loaded->model->servers.size());
  for (size_t i = 0; i < servers.size(); ++i) {
    servers[i] = std::make_unique<config::Server>();
    servers[i]->names = loaded->model->servers[i]->names;
  }
  loaded->model->servers = std::move(servers);
  loaded->model->upstreams = {};
  loaded->model->maps = {};
  loaded->model->resolved = {};
  ::malloc_trim(0);
}

}  // namespace bulkhead::master
