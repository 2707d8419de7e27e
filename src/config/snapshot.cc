// The byte form of a Snapshot, and which site an address belongs to.
//
// Runs in: master (writes), front (reads).  Input: from master only.
#include "config/snapshot.h"

#include <arpa/inet.h>

#include "config/byte_form.h"

namespace bulkhead::config {

template <class Form>
void fields(Site& s, Form& form) {
  auto all = [&](auto&... values) { (form(values), ...); };
  all(s.id, s.name, s.user, s.group, s.has_pool, s.connects, s.listen, s.max_children,
      s.status_paths, s.allowed_clients, s.connections_max, s.queue_max, s.buffer_max);
}

template <class Form>
void fields(BuildOptions& b, Form& form) {
  auto all = [&](auto&... values) { (form(values), ...); };
  all(b.dialect, b.default_error_log, b.default_pid, b.default_access_log, b.resolve_names);
}

// Everything but the Ast and what is derived.
template <class Form>
void fields(Snapshot& s, Form& form) {
  auto all = [&](auto&... values) { (form(values), ...); };
  all(s.generation, s.build, s.resolved, s.sites, s.opener_of_server, s.connector, s.loops, s.role,
      s.pool_listen_sites);
}

void pack(Snapshot* snapshot) {
  snapshot->packed = serialise(snapshot->ast);
  snapshot->ast = {};
}

std::string serialise(const Snapshot& snapshot) {
  ByteWriter out;
  std::string ast = snapshot.packed.empty() ? serialise(snapshot.ast) : snapshot.packed;
  out(ast);
  fields(const_cast<Snapshot&>(snapshot), out);  // a writer changes nothing
  return out.take();
}

Result<Snapshot> deserialise_snapshot(std::string_view bytes) {
  ByteReader in(bytes);
  std::string ast;
  Snapshot snapshot;
  in(ast);
  fields(snapshot, in);
  if (!in.finished()) return fail("the snapshot's byte form is damaged");
  snapshot.ast = TRY(deserialise(ast));
  index_addresses(&snapshot);
  return snapshot;
}

namespace {

std::string unix_address(std::string_view path) {
  std::string out = "unix:";
  for (size_t i = 0; i < path.size(); i++) {
    if (path[i] == '/' && i + 1 < path.size() && path[i + 1] == '/') continue;
    if (path.substr(i, 3) == "/./") {
      i++;
      continue;
    }
    out += path[i];
  }
  // Debian's /var/run is a link to /run, and configurations use both for one socket.
  constexpr std::string_view kOld = "unix:/var/run/";
  if (out.starts_with(kOld)) out.replace(0, kOld.size(), "unix:/run/");
  return out;
}

std::string canonical_host(std::string_view host) {
  if (host.empty() || host == "*" || host == "0.0.0.0") return "*";
  if (host.front() == '[' && host.back() == ']') {
    std::string inner(host.substr(1, host.size() - 2));
    in6_addr address;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, inner.c_str(), &address) != 1) return std::string(host);
    return std::string("[") + inet_ntop(AF_INET6, &address, text, sizeof text) + "]";
  }
  std::string out(host);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out == "localhost" ? "127.0.0.1" : out;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string normalise_address(std::string_view address) {
  if (address.starts_with("unix:")) return unix_address(address.substr(5));
  if (address.starts_with('/')) return unix_address(address);
  if (is_digits(address)) return "*:" + std::string(address);
  size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || !is_digits(address.substr(colon + 1)))
    return canonical_host(address);
  return canonical_host(address.substr(0, colon)) + std::string(address.substr(colon));
}

void index_addresses(Snapshot* snapshot) {
  snapshot->site_by_address.clear();
  for (const Site& site : snapshot->sites) {
    if (site.has_pool) snapshot->site_by_address.emplace(normalise_address(site.listen), site.id);
  }
}

std::optional<uint32_t> site_of_address(const Snapshot& snapshot, std::string_view address) {
  auto find = [&](const std::string& key) -> std::optional<uint32_t> {
    auto it = snapshot.site_by_address.find(key);
    if (it == snapshot.site_by_address.end()) return std::nullopt;
    return it->second;
  };
  std::string key = normalise_address(address);
  if (auto site = find(key)) return site;
  // A pool that listens on every address is also what is reached over the loopback.
  size_t colon = key.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string port = key.substr(colon);
  bool is_v4 = key.starts_with("127.");
  if (!is_v4 && !key.starts_with("[::1]:")) return std::nullopt;
  if (auto site = find("*" + port)) return site;
  return find("[::]" + port);
}

}  // namespace bulkhead::config
