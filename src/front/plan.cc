#include "front/plan.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>

#include "config/nginx_values.h"

namespace bulkhead::front {

using config::RefKind;
using config::Template;

namespace {

// Finds templates that read $realpath_root, through maps too.
class RealpathSearch {
 public:
  explicit RealpathSearch(const config::Model& model) : model_(model) {}

  [[nodiscard]] bool in(const Template& text, int depth = 0) const {
    for (const config::VarRef& ref : text.parts) {
      if (ref.kind == RefKind::kBuiltin &&
          static_cast<config::Var>(ref.index) == config::Var::kRealpathRoot) {
        return true;
      }
      if (ref.kind == RefKind::kMap && depth < 8 && in_map(model_.maps[ref.index], depth + 1)) {
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] bool in(const config::Location& location) const {
    const config::LocConf& conf = location.conf;
    if (in(conf.root) || in(conf.expires.variable) || in_ops(location)) return true;
    for (const Template& t : conf.index) {
      if (in(t)) return true;
    }
    for (const auto& h : conf.add_headers) {
      if (in(h.value)) return true;
    }
    for (const auto& p : conf.fastcgi.params) {
      if (in(p->value)) return true;
    }
    if (conf.fastcgi.pass && in(conf.fastcgi.pass->address)) return true;
    if (conf.try_files) {
      for (const auto& item : conf.try_files->items) {
        if (in(item.path)) return true;
      }
      if (in(conf.try_files->final_uri)) return true;
    }
    for (const auto& log : conf.access_logs) {
      if (in(log.path) || in(model_.log_formats[log.format].text)) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] bool in_map(const config::MapDef& map, int depth) const {
    if (in(map.source, depth) || (map.default_value && in(*map.default_value, depth))) return true;
    for (const auto* list : {&map.exact, &map.leading, &map.trailing}) {
      for (const auto& [key, value] : *list) {
        if (in(value, depth)) return true;
      }
    }
    for (const auto& re : map.regexes) {
      if (in(re.value, depth)) return true;
    }
    return false;
  }
  [[nodiscard]] bool in_ops(const config::Location& location) const {
    for (const config::RewriteOp& op : location.ops) {
      if (in(op.value)) return true;
      if (op.condition && (in(op.condition->subject) || in(op.condition->value))) return true;
      if (op.if_location != nullptr && in(*op.if_location)) return true;
    }
    return false;
  }

  const config::Model& model_;
};

ipc::SymlinkRule symlink_rule(config::LocConf::DisableSymlinks setting) {
  switch (setting) {
    case config::LocConf::DisableSymlinks::kOn:
      return ipc::SymlinkRule::kOff;
    case config::LocConf::DisableSymlinks::kIfNotOwner:
      return ipc::SymlinkRule::kIfNotOwner;
    case config::LocConf::DisableSymlinks::kOff:
      break;
  }
  return ipc::SymlinkRule::kOwned;
}

Handler handler_of(const config::LocConf& conf) {
  if (conf.fastcgi.pass) return Handler::kApp;
  if (conf.stub_status) return Handler::kStubStatus;
  if (conf.empty_gif) return Handler::kEmptyGif;
  if (conf.metrics) return Handler::kMetrics;
  return Handler::kStatic;
}

// The location an inherited alias was written in decides how much of the uri it replaces.
size_t alias_cut_of(const config::Location& location) {
  using Kind = config::Location::Kind;
  const config::Location* origin = &location;
  while (origin->parent != nullptr &&
         (origin->kind == Kind::kIf ||
          (origin->parent->conf.is_alias &&
           origin->parent->conf.root_origin == origin->conf.root_origin))) {
    origin = origin->parent;
  }
  return origin->kind == Kind::kRegex ? LocationPlan::kWholeUri : origin->text.size();
}

// Servers written alike are one server to `hash ... consistent`.
uint32_t first_written_so(const config::Upstream& upstream, size_t server) {
  uint32_t first = 0;
  while (upstream.servers[first].address != upstream.servers[server].address) ++first;
  return first;
}

}  // namespace

std::string client_of_address(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || address.starts_with("unix:")) return {};
  std::string host(address.substr(0, colon));
  if (host.size() > 2 && host.front() == '[') {
    in6_addr inet6{};
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &inet6) != 1) return {};
    return {reinterpret_cast<const char*>(&inet6), sizeof inet6};
  }
  in_addr inet4{};
  constexpr uint8_t kLoopbackNet = 127;
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), &inet4) == 1;
  if (!is_address || ntohl(inet4.s_addr) >> 24 == kLoopbackNet) {
    inet4.s_addr = htonl(INADDR_LOOPBACK);
  }
  return {reinterpret_cast<const char*>(&inet4), sizeof inet4};
}

namespace {

constexpr std::string_view kNginxProduct = "nginx", kNginxVersion = "nginx/1.22.1";

}  // namespace

Plan::~Plan() = default;

Result<std::shared_ptr<const Plan>> Plan::create(config::Snapshot snapshot) {
  std::shared_ptr<Plan> plan(new Plan());
  plan->snapshot_ = std::move(snapshot);
  config::index_addresses(&plan->snapshot_);
  config::BuildOptions options = plan->snapshot_.build;
  options.resolve_names = false;
  options.resolved = &plan->snapshot_.resolved;
  std::vector<config::ConfigError> warnings;
  auto model = config::build_model(plan->snapshot_.ast, options, &warnings);
  if (!model) return fail(model.error().describe());
  plan->model_ = std::move(*model);
  plan->snapshot_.ast = {};  // what it says is in the model: of many sites this is the larger half
  plan->build();
  ::malloc_trim(0);
  return std::shared_ptr<const Plan>(std::move(plan));
}

void Plan::build() {
  if (snapshot_.role == "nginx") {
    product_ = kNginxProduct;
    product_version_ = kNginxVersion;
  } else {
    product_ = "Bulkhead";
    product_version_ = "Bulkhead/" BH_VERSION;
  }
  build_upstreams();
  build_maps();
  set_slots_.resize(model_->user_variables.size());
  servers_.reserve(model_->servers.size());
  for (size_t i = 0; i < model_->servers.size(); ++i) {
    auto server = std::make_unique<ServerPlan>();
    server->source = model_->servers[i].get();
    if (i < snapshot_.opener_of_server.size()) server->opener = snapshot_.opener_of_server[i];
    server->root = build_location(*server->source->root, *server);
    for (const auto& child : server->root->owned) {
      if (child->source->kind == config::Location::Kind::kNamed) {
        server->named.try_emplace(child->source->text, child.get());
      }
    }
    servers_.push_back(std::move(server));
  }
  names_.reserve(model_->listens.size());
  for (const config::Listen& listen : model_->listens) names_.emplace_back(*model_, listen);
}

void Plan::build_upstreams() {
  upstreams_.reserve(model_->upstreams.size());
  for (uint32_t i = 0; i < model_->upstreams.size(); ++i) {
    const config::Upstream& source = model_->upstreams[i];
    UpstreamPlan plan{&source, {}, nullptr};
    for (size_t s = 0; s < source.servers.size(); ++s) {
      const config::UpstreamServer& server = source.servers[s];
      PeerPlan peer;
      peer.address = server.address;
      peer.weight = server.weight;
      peer.server = first_written_so(source, s);
      peer.max_fails = server.max_fails;
      peer.max_conns = server.max_conns;
      peer.fail_timeout = server.fail_timeout;
      peer.backup = server.backup;
      peer.down = server.down;
      if (auto site = config::site_of_address(snapshot_, server.address)) {
        peer.is_site = true;
        peer.client = client_of_address(server.address);
        peer.site = *site;
        plan.peers.push_back(std::move(peer));
        continue;
      }
      if (s >= source.sockaddrs.size()) continue;
      for (const std::string& sockaddr : source.sockaddrs[s]) {
        peer.sockaddr = sockaddr;
        peer.address = config::sockaddr_text(sockaddr);
        plan.peers.push_back(peer);
      }
    }
    if (source.consistent) plan.points = make_hash_points(plan);
    upstreams_.push_back(std::move(plan));
    upstream_by_name_.try_emplace(source.name, i);
  }
}

void Plan::build_maps() {
  for (const config::MapDef& source : model_->maps) {
    MapPlan plan;
    plan.source = &source;
    for (const auto& [key, value] : source.exact) plan.exact.try_emplace(key, &value);
    for (const auto& [key, value] : source.leading) {
      std::string_view name = key;
      if (name.starts_with("*.")) {
        name.remove_prefix(2);
      } else if (name.starts_with('.')) {
        name.remove_prefix(1);
        plan.exact.try_emplace(name, &value);
      }
      plan.leading.try_emplace(name, &value);
    }
    for (const auto& [key, value] : source.trailing) {
      std::string_view name = key;
      if (name.ends_with(".*")) name.remove_suffix(2);
      plan.trailing.try_emplace(name, &value);
    }
    maps_.push_back(std::move(plan));
  }
}

uint32_t Plan::find_upstream(std::string_view name) const {
  auto it = upstream_by_name_.find(name);
  return it == upstream_by_name_.end() ? config::kNone : it->second;
}

std::unique_ptr<LocationPlan> Plan::build_location(const config::Location& source,
                                                   ServerPlan& server) {
  auto plan = std::make_unique<LocationPlan>();
  const config::LocConf& conf = source.conf;
  plan->source = &source;
  plan->conf = &conf;
  plan->server = &server;
  plan->handler = handler_of(conf);
  plan->needs_realpath = RealpathSearch(*model_).in(source);
  plan->symlinks = symlink_rule(conf.disable_symlinks);
  plan->root_is_literal = conf.root.is_literal();
  plan->root = conf.root.literal();
  if (conf.is_alias) plan->alias_cut = alias_cut_of(source);
  plan->has_headers = conf.expires.kind != config::Expires::Kind::kOff ||
                      !conf.add_headers.empty() || !conf.add_trailers.empty();
  plan->server_token = conf.server_tokens == config::LocConf::ServerTokens::kOff
                           ? std::string_view(product_)
                           : std::string_view(product_version_);
  if (conf.fastcgi.pass) plan->upstream = conf.fastcgi.pass->upstream;
  for (const config::RewriteOp& op : source.ops) {
    if (op.kind == config::RewriteOp::Kind::kSet && !op.builtin) set_slots_[op.slot] = true;
  }
  if (!conf.unsupported.empty()) refusals_.push_back(conf.unsupported);
  build_children(source, server, plan.get());
  return plan;
}

void Plan::build_children(const config::Location& source, ServerPlan& server, LocationPlan* plan) {
  for (const auto& child : source.children) {
    plan->owned.push_back(build_location(*child, server));
    plan->children.add(plan->owned.back().get());
  }
  for (const auto& child : source.ifs) {
    plan->owned.push_back(build_location(*child, server));
    server.ifs.emplace(child.get(), plan->owned.back().get());
  }
  plan->children.build();
}

}  // namespace bulkhead::front
