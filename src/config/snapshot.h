// What master hands to front on start and on every reload: the configuration as bytes in a sealed
// memfd, and which site each server block and FastCGI address belongs to.
//
// Runs in: master (writes), front (reads).  Input: from master only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "config/ast.h"
#include "config/model.h"
#include "config/pool_config.h"

namespace bulkhead::config {

// A site: one identity (user) with its pool, or only an opener of files.  The id is given by
// master, stable across reloads while the site's identity stays the same, never reused while front
// may still hold it.
struct Site {
  uint32_t id = 0;
  std::string name;  // pool name; "@USER" for a file-only site
  std::string user, group;
  bool has_pool = false;  // false: file-only
  bool connects = false;  // and it opens no file but Unix sockets, see Snapshot::connector
  std::string
      listen;  // pool's listen address as fastcgi_pass spells it ("unix:/x", "127.0.0.1:9000")
  uint32_t max_children = 0;  // of its pool
  std::vector<std::string> status_paths;
  std::vector<std::string> allowed_clients;  // listen.allowed_clients, for TCP listen
  // limit.connections, limit.queue, limit.buffer; 0: front's default.
  uint32_t connections_max = 0, queue_max = 0;
  uint64_t buffer_max = 0;
};

struct Snapshot {
  uint64_t generation = 0;
  Ast ast;             // empty top when only pools are served (bulkhead php-fpm)
  std::string packed;  // after pack(): its byte form, in its place
  BuildOptions build;
  std::map<std::string, std::vector<std::string>> resolved;  // "host:port" or host -> raw sockaddrs
  std::vector<Site> sites;
  std::vector<uint32_t> opener_of_server;  // server index -> site id
  // The site that connects to the Unix sockets of FastCGI servers which are not our pools, as the
  // main-level user, since front reaches no path.  0: no such server is configured.
  uint32_t connector = 0;
  uint32_t loops = 1;  // event loops of front
  std::string role;    // "serve", "nginx", "php-fpm": titles, Server header, log shape
  std::vector<uint32_t> pool_listen_sites;  // i-th FastCGI listening socket -> site id
  // Derived, not serialised: normalised listen address -> site id.  See index_addresses.
  std::unordered_map<std::string, uint32_t> site_by_address;
};

// One spelling for the addresses that name the same FastCGI socket: "unix:/run/x.sock",
// "/run/x.sock" -> "unix:/run/x.sock"; "9000", ":9000", "*:9000", "0.0.0.0:9000" -> "*:9000";
// "localhost:9000" -> "127.0.0.1:9000"; "[0:0::1]:9000" -> "[::1]:9000"; others as written.
std::string normalise_address(std::string_view address);

// Rebuilds site_by_address from sites; call it after the ids or listen addresses changed
// (deserialise_snapshot and pair_sites have done it).
void index_addresses(Snapshot* snapshot);

// The site whose pool listens on `address` (any spelling nginx's fastcgi_pass or an upstream's
// `server` takes); nothing when it is a foreign FastCGI server.  O(1).
std::optional<uint32_t> site_of_address(const Snapshot& snapshot, std::string_view address);

// Keeps only the byte form of the tree, which front needs again: a tenth of its size.
void pack(Snapshot* snapshot);

std::string serialise(const Snapshot& snapshot);
Result<Snapshot> deserialise_snapshot(std::string_view bytes);

// Pairs servers with pools (shared design, section 5): a server's files are opened as the pool it
// passes to; `user` inside server decides where that is ambiguous; else the main-level user.
// Fills sites (ids from 1 in order; the caller maps them to stable ids) and opener_of_server.
// Errors: an ambiguous server is not an error (main user is used) but adds a warning.
Status pair_sites(const Model& model, const FpmConfig* pools, Snapshot* out,
                  std::vector<ConfigError>* warnings);

}  // namespace bulkhead::config
