// The sites of a running server, from the configuration it was started with.
//
// Runs in: bulkhead-verify (root).  Input: configuration (trusted).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "master/control_socket.h"
#include "master/load.h"
#include "sys/files.h"
#include "verify/setup.h"

namespace bulkhead::verify {
namespace {

master::Options options_of(const Places& places) {
  master::Options options;
  options.bulkhead_conf = places.nginx.empty() && places.fpm.empty();
  options.nginx_conf =
      options.bulkhead_conf
          ? (places.config.empty() ? std::string(master::kBulkheadConf) : places.config)
          : places.nginx;
  options.fpm_conf = places.fpm;
  options.pid = places.pid;
  options.prefix = places.prefix.empty() ? std::string(master::kNginxPrefix) : places.prefix;
  if (!options.prefix.ends_with('/')) options.prefix += '/';
  for (std::string* path : {&options.nginx_conf, &options.fpm_conf}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path);
  }
  return options;
}

const std::vector<std::string> kLayers = {"view", "pid", "ipc", "landlock", "seccomp", "cgroup"};

// The port of a listening address that 127.0.0.1 reaches; 0: none.
uint16_t loopback_port(const config::Listen& listen) {
  sockaddr_in address{};
  if (listen.sockaddr.size() < sizeof address || listen.ssl) return 0;  // we speak no TLS
  std::memcpy(&address, listen.sockaddr.data(), sizeof address);
  if (address.sin_family != AF_INET) return 0;
  uint32_t host = ntohl(address.sin_addr.s_addr);
  return host == INADDR_ANY || host >> 24 == 127 ? ntohs(address.sin_port) : 0;
}

// What the first server block of a site says of it: a name, a port, a root, a log.
void add_server(const config::Model& model, const config::Server& block, Site* site) {
  if (block.root == nullptr || !block.root->conf.root.is_literal()) return;
  for (uint32_t index : block.listens) {
    if (uint16_t port = loopback_port(model.listens[index]); port != 0) site->port = port;
  }
  for (const config::ServerName& name : block.names) {
    if (site->host.empty() && name.kind == config::ServerName::Kind::kExact) site->host = name.text;
  }
  site->root = block.root->conf.root.literal();
  site->root_is_said = block.root->conf.root_origin != nullptr;
  for (const config::AccessLog& log : block.root->conf.access_logs) {
    if (log.file != config::kNone) site->access_log = model.log_files[log.file].path;
  }
}

}  // namespace

Result<Server> live_server(const Places& places) {
  master::Options options = options_of(places);
  auto loaded = master::load(options);
  if (!loaded) {
    if (loaded.error().nginx) return fail(loaded.error().nginx->describe());
    return fail(loaded.error().fpm.empty() ? "no configuration" : loaded.error().fpm.back().text);
  }
  Server server;
  server.pid_file = options.pid.empty() ? loaded->model->pid_path : options.pid;
  server.control = master::control_path(server.pid_file);
  server.config = options.nginx_conf;
  auto pid = sys::read_file(server.pid_file, 64);
  if (!pid) return fail("no server is running: " + pid.error().describe());
  server.masters.push_back(std::atoi(pid->c_str()));
  const auto& sites = loaded->snapshot.sites;
  for (const config::Site& row : sites) {
    Site site;
    site.name = row.name;
    site.runs_php = row.has_pool;
    if (row.listen.starts_with("unix:")) site.pool_socket = row.listen.substr(5);
    if (const auto* pool = loaded->pool_of(row)) {
      site.sandbox = pool->sandbox;
      site.layers_off = site.sandbox == "off" ? kLayers : pool->sandbox_off;
    }
    site.user = TRY(sys::find_identity(row.user, row.group));
    const auto& openers = loaded->snapshot.opener_of_server;
    for (size_t i = 0; i < openers.size() && site.root.empty(); ++i) {
      if (openers[i] == row.id) add_server(*loaded->model, *loaded->model->servers[i], &site);
    }
    // "@user" is no name that an administrator gave.
    if (!site.runs_php && !site.host.empty()) site.name = site.host;
    // Without a web root that can be reached there is nothing to plant evidence in.
    if (site.root.empty()) {
      server.notes.push_back(site.name + " has no server block with a root: not attacked");
    } else if (site.port == 0) {
      server.notes.push_back(site.name + " has no plain HTTP port on 127.0.0.1: not attacked");
    } else {
      server.sites.push_back(std::move(site));
    }
  }
  return server;
}

}  // namespace bulkhead::verify
