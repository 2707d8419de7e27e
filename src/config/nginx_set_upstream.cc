// upstream blocks: named groups of FastCGI servers.
//
// Runs in: master, front.  Input: configuration (trusted).  Blocks: may look names up (master).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

bool server_option(std::string_view word, UpstreamServer* out) {
  auto number_after = [&](std::string_view name, uint64_t min) -> std::optional<uint32_t> {
    auto value = parse_number(word.substr(name.size()));
    if (!value || *value < min || *value > UINT32_MAX) return std::nullopt;
    return static_cast<uint32_t>(*value);
  };
  struct Row {
    std::string_view name;
    uint64_t min;
    uint32_t UpstreamServer::*field;
  };
  static constexpr Row kRows[] = {{"weight=", 1, &UpstreamServer::weight},
                                  {"max_fails=", 0, &UpstreamServer::max_fails},
                                  {"max_conns=", 0, &UpstreamServer::max_conns}};
  for (const Row& row : kRows) {
    if (!word.starts_with(row.name)) continue;
    auto value = number_after(row.name, row.min);
    if (value) out->*(row.field) = *value;
    return value.has_value();
  }
  if (word.starts_with("fail_timeout=")) {
    auto time = parse_seconds(word.substr(13));
    if (time) out->fail_timeout = *time;
    return time.has_value();
  }
  if (word == "backup") return out->backup = true;
  if (word == "down") return out->down = true;
  return false;
}

// random [two [least_conn]]
void set_random(Builder& b, const Directive& d, Upstream* upstream) {
  static constexpr std::string_view kWords[] = {"two", "least_conn"};
  for (size_t i = 0; i < d.args.size(); ++i) {
    if (d.args[i].text != kWords[i]) {
      return b.fail(d, "invalid parameter \"" + d.args[i].text + "\"");
    }
  }
  upstream->random_two = !d.args.empty();
}

// `hash ... consistent` keeps 160 points of 8 bytes for each unit of weight.
constexpr uint64_t kConsistentWeightMax = 100'000;

bool is_circle_too_large(const Upstream& upstream) {
  uint64_t total = 0;
  for (size_t i = 0; i < upstream.servers.size(); ++i) {
    if (upstream.servers[i].backup) continue;
    total += upstream.servers[i].weight * uint64_t{upstream.sockaddrs[i].size()};
  }
  return upstream.consistent && total > kConsistentWeightMax;
}

}  // namespace

void set_upstream(Builder& b, const Directive& d) {
  const std::string& name = d.args[0].text;
  auto& upstreams = b.model().upstreams;
  auto [at, is_new] =
      b.upstream_index.emplace(to_lower(name), static_cast<uint32_t>(upstreams.size()));
  if (!is_new) return b.fail(d, "duplicate upstream \"" + name + "\"");
  upstreams.emplace_back().name = name;
  Upstream upstream;
  upstream.name = name;
  Scope* scope = b.open_scope(kUpstream, d);
  scope->upstream = &upstream;
  b.walk(d.children, scope);
  scope->upstream = nullptr;
  if (b.failed()) return;
  if (upstream.servers.empty()) {
    return b.fail_at("no servers are inside upstream", d.file, d.end_line);
  }
  if (is_circle_too_large(upstream)) {
    return b.fail(d, "the weights of upstream \"" + name + "\" add up to more than " +
                         std::to_string(kConsistentWeightMax) + ", too much for a consistent hash");
  }
  bool has_main = false;
  for (const UpstreamServer& server : upstream.servers) has_main |= !server.backup;
  if (!has_main) b.upstreams_without_servers.push_back({name, {d.file, d.line}});
  upstreams[at->second] = std::move(upstream);
}

void set_upstream_server(Builder& b, const Directive& d) {
  Upstream& upstream = *b.scope().upstream;
  UpstreamServer server;
  server.address = d.args[0].text;
  for (size_t i = 1; i < d.args.size(); ++i) {
    const std::string& word = d.args[i].text;
    if (!server_option(word, &server)) {
      return b.fail(d, "invalid parameter \"" + word + "\"");
    }
    bool has_no_backup = upstream.method == Upstream::Method::kIpHash ||
                         upstream.method == Upstream::Method::kHash ||
                         upstream.method == Upstream::Method::kRandom;
    if (word == "backup" && has_no_backup) {
      return b.fail(d, "balancing method does not support parameter \"backup\"");
    }
  }
  auto address = parse_address(server.address, {.default_port = 80}, b.resolver());
  if (!address) {
    return b.fail(d, address.error().text + " in upstream \"" + server.address + "\"");
  }
  upstream.servers.push_back(std::move(server));
  upstream.sockaddrs.push_back(std::move(address->sockaddrs));
}

void set_upstream_keepalive(Builder& b, const Directive& d) {
  auto value = parse_number(d.args[0].text);
  if (!value || *value == 0) {
    return b.fail(d, "invalid value \"" + d.args[0].text + "\" in \"keepalive\" directive");
  }
  b.scope().upstream->keepalive = static_cast<uint32_t>(std::min<uint64_t>(*value, 1U << 20));
  b.scope().has_balancer_wrapper = true;
}

void set_upstream_method(Builder& b, const Directive& d) {
  using Method = Upstream::Method;
  Upstream& upstream = *b.scope().upstream;
  if (upstream.method != Method::kRoundRobin || b.scope().has_balancer_wrapper) {
    b.warn(d, "load balancing method redefined");
  }
  if (d.name == "least_conn") {
    upstream.method = Method::kLeastConn;
  } else if (d.name == "ip_hash") {
    upstream.method = Method::kIpHash;
  } else if (d.name == "random") {
    upstream.method = Method::kRandom;
    set_random(b, d, &upstream);
  } else {
    upstream.method = Method::kHash;
    upstream.hash_key = b.compile(d, d.args[0].text);
    upstream.consistent = d.args.size() == 2;
    if (upstream.consistent && d.args[1].text != "consistent") {
      b.fail(d, "invalid parameter \"" + d.args[1].text + "\"");
    }
  }
}

}  // namespace bulkhead::config
