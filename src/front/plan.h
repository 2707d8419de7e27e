// The routing snapshot: the configuration with every decision made that does not need a request.
//
// Runs in: front.  Input: configuration from master (trusted).
// Threads: immutable, shared by all loops; requests keep the plan they started with alive.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "config/model.h"
#include "config/snapshot.h"
#include "front/exchange.h"
#include "front/location_table.h"
#include "front/peers.h"
#include "front/server_names.h"
#include "ipc/site_channel.h"

namespace bulkhead::front {

enum class Handler : uint8_t { kStatic, kApp, kStubStatus, kEmptyGif, kMetrics };

// One peer of an upstream: a socket, or a site of ours behind that address.
struct PeerPlan {
  std::string address;  // as logs print it: "unix:/run/x.sock", "127.0.0.1:9000"
  std::string sockaddr;
  bool is_site = false;
  uint32_t site = 0;
  std::string client;   // is_site: whom the pool would see if it were asked over its address
  uint32_t server = 0;  // the first of Upstream::servers written as this one is
  uint32_t weight = 1, max_fails = 1, max_conns = 0;
  std::chrono::milliseconds fail_timeout{10000};
  bool backup = false, down = false;
};
// Who asks when this machine connects to an address of its own: 4 or 16 bytes; empty for a Unix
// socket.  A pool of ours at that address is asked over its ring, and its log shall say the same.
std::string client_of_address(std::string_view address);

struct UpstreamPlan {
  const config::Upstream* source = nullptr;
  std::vector<PeerPlan> peers;
  HashPoints points;  // hash ... consistent
};

struct LocationPlan {
  const config::Location* source = nullptr;
  const config::LocConf* conf = nullptr;
  const ServerPlan* server = nullptr;
  LocationTable children;
  std::vector<std::unique_ptr<LocationPlan>> owned;  // children and ifs
  Handler handler = Handler::kStatic;
  bool needs_realpath = false;        // something here reads $realpath_root
  uint32_t upstream = config::kNone;  // fastcgi_pass without variables: index into Plan::upstreams
  ipc::SymlinkRule symlinks = ipc::SymlinkRule::kOwned;
  // The only directory this location serves from, without trailing '/'; unset when it has
  // variables.
  bool root_is_literal = false;
  std::string_view root;
  // alias: how much of the uri it replaces; kWholeUri in regular expression locations.
  static constexpr size_t kWholeUri = SIZE_MAX;
  size_t alias_cut = 0;
  bool has_headers = false;       // expires, add_header or add_trailer
  std::string_view server_token;  // "nginx/1.22.1": Server header and error pages
};

struct ServerPlan {
  const config::Server* source = nullptr;
  std::unique_ptr<LocationPlan> root;
  std::unordered_map<std::string_view, const LocationPlan*> named;
  uint32_t opener = 0;  // site whose user opens the files
  // Every `if` block in a location of this server.
  std::unordered_map<const config::Location*, const LocationPlan*> ifs;
  [[nodiscard]] const LocationPlan* find_if(const config::Location* source) const {
    auto it = ifs.find(source);
    return it == ifs.end() ? nullptr : it->second;
  }
};

class Plan {
 public:
  // Takes the snapshot over and builds the model from it.
  // Errors: the configuration is invalid (master checks first, so this is a bug or a name that
  // no longer resolves).
  static Result<std::shared_ptr<const Plan>> create(config::Snapshot snapshot);
  ~Plan();

  [[nodiscard]] const config::Snapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] const config::Model& model() const { return *model_; }
  // By index into Model::listens.
  [[nodiscard]] const ServerNames& names(uint32_t listen) const { return names_[listen]; }
  [[nodiscard]] const ServerPlan& server(uint32_t index) const { return *servers_[index]; }
  [[nodiscard]] size_t server_count() const { return servers_.size(); }
  [[nodiscard]] const std::vector<UpstreamPlan>& upstreams() const { return upstreams_; }
  // The upstream{} block of that name, for fastcgi_pass with variables; kNone if there is none.
  [[nodiscard]] uint32_t find_upstream(std::string_view name) const;
  // Reasons of locations that are refused (LocConf::unsupported), for the start-up log.
  [[nodiscard]] const std::vector<std::string>& refusals() const { return refusals_; }
  // Maps as hash tables: by index into Model::maps, then key (lower case) -> value.
  using MapTable = std::unordered_map<std::string_view, const config::Template*>;
  struct MapPlan {
    const config::MapDef* source = nullptr;
    MapTable exact, leading, trailing;
  };
  [[nodiscard]] const std::vector<MapPlan>& maps() const { return maps_; }
  // Whether some `set` defines the user variable of that slot (not only a named capture).
  [[nodiscard]] bool is_set_somewhere(uint32_t slot) const {
    return slot < set_slots_.size() && set_slots_[slot];
  }
  // "nginx/1.22.1" or "Bulkhead/0.1", and without version; see ServerTokens.
  [[nodiscard]] std::string_view product() const { return product_; }
  [[nodiscard]] std::string_view product_version() const { return product_version_; }

 private:
  Plan() = default;
  void build();
  void build_upstreams();
  void build_maps();
  std::unique_ptr<LocationPlan> build_location(const config::Location& source, ServerPlan& server);
  void build_children(const config::Location& source, ServerPlan& server, LocationPlan* plan);

  config::Snapshot snapshot_;
  std::unique_ptr<config::Model> model_;
  std::vector<ServerNames> names_;
  std::vector<std::unique_ptr<ServerPlan>> servers_;
  std::vector<UpstreamPlan> upstreams_;
  std::unordered_map<std::string_view, uint32_t> upstream_by_name_;
  std::vector<MapPlan> maps_;
  std::vector<bool> set_slots_;
  std::vector<std::string> refusals_;
  std::string product_, product_version_;
};

}  // namespace bulkhead::front
