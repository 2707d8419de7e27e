// Pairs servers with pools: whose user opens which server's files.
//
// Runs in: master.  Input: configuration (trusted).  Ref: ARCHITECTURE, "Two files, one site".
#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/pool_limits.h"
#include "config/snapshot.h"

namespace bulkhead::config {
namespace {

// `a,b c` -> {"a", "b", "c"}.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  size_t i = 0;
  while ((i = text.find_first_not_of(", \t", i)) != std::string_view::npos) {
    size_t end = std::min(text.find_first_of(", \t", i), text.size());
    out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

Site site_of_pool(const PoolConfig& pool, uint32_t id) {
  Site site;
  site.id = id;
  site.name = pool.name;
  site.user = pool.user;
  site.group = pool.group;
  site.has_pool = true;
  site.listen = pool.listen.starts_with('/') ? "unix:" + pool.listen : pool.listen;
  site.max_children = static_cast<uint32_t>(pool.max_children);
  if (!pool.status_path.empty()) site.status_paths.push_back(pool.status_path);
  if (!pool.ping_path.empty()) site.status_paths.push_back(pool.ping_path);
  site.allowed_clients = split_list(pool.listen_allowed_clients);
  const PoolLimits limits = read_limits(pool);
  site.connections_max = limits.connections;
  site.queue_max = limits.queue;
  site.buffer_max = limits.buffer_bytes;
  return site;
}

class Pairing {
 public:
  Pairing(const Model& model, Snapshot* out, std::vector<ConfigError>* warnings)
      : model_(model), out_(out), warnings_(warnings) {}

  void run(const FpmConfig* pools) {
    out_->sites.clear();
    out_->opener_of_server.clear();
    if (pools) {
      for (const PoolConfig& pool : pools->pools)
        out_->sites.push_back(site_of_pool(pool, next_id()));
    }
    index_addresses(out_);
    find_upstream_sites();
    out_->opener_of_server.reserve(model_.servers.size());
    for (const auto& server : model_.servers) out_->opener_of_server.push_back(opener_of(*server));
    if (needs_connector()) out_->connector = make_connector();
  }

 private:
  uint32_t next_id() const { return static_cast<uint32_t>(out_->sites.size()) + 1; }
  const Site& site(uint32_t id) const { return out_->sites[id - 1]; }

  void find_upstream_sites() {
    upstream_sites_.resize(model_.upstreams.size());
    for (size_t i = 0; i < model_.upstreams.size(); i++) {
      for (const UpstreamServer& server : model_.upstreams[i].servers) {
        if (auto found = site_of_address(*out_, server.address)) add(*found, &upstream_sites_[i]);
      }
    }
  }

  [[nodiscard]] bool is_foreign_socket(const std::string& address) const {
    return address.starts_with("unix:") && !site_of_address(*out_, address);
  }

  // An address with variables may turn out to be a Unix socket.
  static bool passes_by_variable(const Location& location) {
    const auto& pass = location.conf.fastcgi.pass;
    if (pass && pass->upstream == kNone && !pass->address.is_literal()) return true;
    auto child_does = [](const auto& child) { return passes_by_variable(*child); };
    return std::any_of(location.children.begin(), location.children.end(), child_does) ||
           std::any_of(location.ifs.begin(), location.ifs.end(), child_does);
  }

  [[nodiscard]] bool needs_connector() const {
    for (const Upstream& upstream : model_.upstreams) {
      for (const UpstreamServer& server : upstream.servers) {
        if (is_foreign_socket(server.address)) return true;
      }
    }
    return std::any_of(model_.servers.begin(), model_.servers.end(), [](const auto& server) {
      return server->root && passes_by_variable(*server->root);
    });
  }

  uint32_t make_connector() {
    uint32_t id = next_id();
    Site& made = out_->sites.emplace_back();
    made.id = id;
    made.name = "@" + model_.user + " (sockets)";
    made.user = model_.user;
    made.group = model_.group;
    made.connects = true;
    return id;
  }

  static void add(uint32_t id, std::vector<uint32_t>* to) {
    if (std::find(to->begin(), to->end(), id) == to->end()) to->push_back(id);
  }

  // The pools that a location and what is nested in it pass to, in file order.
  void collect(const Location& location, std::vector<uint32_t>* found) const {
    if (const auto& pass = location.conf.fastcgi.pass) {
      if (pass->upstream != kNone && pass->upstream < upstream_sites_.size()) {
        for (uint32_t id : upstream_sites_[pass->upstream]) add(id, found);
      } else if (pass->address.is_literal()) {
        if (auto id = site_of_address(*out_, pass->address.literal())) add(*id, found);
      }
    }
    for (const auto& child : location.children) collect(*child, found);
    for (const auto& child : location.ifs) collect(*child, found);
  }

  uint32_t opener_of(const Server& server) {
    std::vector<uint32_t> passes_to;
    if (server.root) collect(*server.root, &passes_to);
    if (!server.user.empty()) {
      for (uint32_t id : passes_to) {
        if (is_identity(site(id), server.user, server.group)) return id;
      }
      return files_of(server.user, server.group);
    }
    if (passes_to.empty()) return files_of(model_.user, model_.group);
    const Site& first = site(passes_to[0]);
    for (uint32_t id : passes_to) {
      if (is_identity(site(id), first.user, first.group)) continue;
      warn_ambiguous(server, passes_to);
      return files_of(model_.user, model_.group);
    }
    return first.id;
  }

  static bool is_identity(const Site& site, const std::string& user, const std::string& group) {
    return site.user == user && (group.empty() || site.group.empty() || site.group == group);
  }

  // The file-only site of an identity; made when first asked for.
  uint32_t files_of(const std::string& user, const std::string& group) {
    std::string key = "@" + user;
    if (!group.empty()) (key += ":") += group;
    auto [it, is_new] = files_.try_emplace(key, next_id());
    if (is_new) {
      Site& made = out_->sites.emplace_back();
      made.id = it->second;
      made.name = "@" + user;
      made.user = user;
      made.group = group;
    }
    return it->second;
  }

  void warn_ambiguous(const Server& server, const std::vector<uint32_t>& passes_to) {
    if (!warnings_) return;
    std::string names;
    for (uint32_t id : passes_to) (names += names.empty() ? "" : ", ") += site(id).name;
    ConfigError warning;
    warning.level = LogLevel::kWarn;
    warning.text = "server \"" + server.primary_name + "\" passes to pools of several users (" +
                   names + "), its files are opened as \"" + model_.user +
                   "\" unless \"user\" in the server says otherwise";
    if (server.file < out_->ast.files.size()) warning.file = out_->ast.files[server.file].path;
    warning.line = server.line;
    warnings_->push_back(std::move(warning));
  }

  const Model& model_;
  Snapshot* out_;
  std::vector<ConfigError>* warnings_;
  std::vector<std::vector<uint32_t>> upstream_sites_;  // by upstream index
  std::unordered_map<std::string, uint32_t> files_;
};

}  // namespace

Status pair_sites(const Model& model, const FpmConfig* pools, Snapshot* out,
                  std::vector<ConfigError>* warnings) {
  Pairing(model, out, warnings).run(pools);
  return {};
}

}  // namespace bulkhead::config
