// What can be judged only when every server is known: names, TLS, shared sockets.
//
// Runs in: master, front.  Input: configuration (trusted).
#include <unordered_map>

#include "config/nginx_builder.h"
#include "config/nginx_wildcards.h"

namespace bulkhead::config {

// Two servers of one address with one name: the first keeps it.
void Merger::check_names() {
  for (const Listen& listen : b_.model().listens) {
    if (listen.servers.size() < 2) continue;
    WildcardKeys keys;
    for (uint32_t index : listen.servers) {
      for (const ServerName& name : b_.model().servers[index]->names) {
        if (name.kind == ServerName::Kind::kRegex) continue;
        WildcardKind kind = classify_wildcard(name.text);
        if (kind == WildcardKind::kInvalid) {
          return b_.fail_nowhere("invalid server name or wildcard \"" + name.text + "\" on " +
                                 listen.text);
        }
        if (keys.add(name.text, kind)) continue;
        b_.warn_at("conflicting server name \"" + name.text + "\" on " + listen.text + ", ignored",
                   kNone, 0);
      }
    }
  }
}

// There is no TLS in this version.  A socket meant for it is recorded and never opened, because
// answering in the clear there would be worse than not answering.
void Merger::check_tls() {
  const Scope& http = *b_.http_scope;
  auto& listens = b_.model().listens;
  std::vector<const Scope*> scopes;
  for (const auto& child : http.children) {
    if (child->context != kServer) continue;
    scopes.push_back(child.get());
    bool is_on = child->ssl_on.value_or(http.ssl_on.value_or(false));
    if (!is_on) continue;
    for (uint32_t index : child->server->listens) listens[index].ssl = true;
  }
  std::string unserved;
  for (const Listen& listen : listens) {
    if (!listen.ssl && !listen.quic) continue;
    const Scope& server = *scopes[listen.default_server];
    bool is_ready = server.has_certificate || http.has_certificate || server.rejects_handshake ||
                    http.rejects_handshake;
    if (!is_ready) {
      return b_.fail_at("no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive",
                        server.file, server.line);
    }
    unserved += (unserved.empty() ? "" : ", ") + listen.text + (listen.quic ? " (quic)" : "");
    if (unserved.size() > 200) {
      unserved += ", ...";
      break;
    }
  }
  if (unserved.empty()) return;
  b_.warn_at(
      "\"listen ... ssl\" is not served: TLS is not in this version of Bulkhead; not opened: " +
          unserved,
      kNone, 0);
}

// nginx's check of worker_connections, with the sockets that are really opened.
void Merger::check_connections() {
  size_t sockets = 0;
  for (const Listen& listen : b_.model().listens) {
    if (!listen.ssl && !listen.quic && listen.served_by == kNone) ++sockets;
  }
  uint32_t connections = b_.model().worker_connections;
  if (connections >= sockets + 1) return;
  b_.fail_nowhere(std::to_string(connections) + " worker_connections are not enough for " +
                  std::to_string(sockets) + " listening sockets");
}

// As nginx: an address beside a wildcard of the same port gets its connections from that socket.
void Merger::pair_wildcards() {
  auto& listens = b_.model().listens;
  auto key = [](const Listen& listen) {
    // Family and port: the text after the last ':' and whether it is in brackets.
    size_t colon = listen.text.rfind(':');
    return (listen.text.starts_with('[') ? "6" : "4") + listen.text.substr(colon + 1);
  };
  std::unordered_map<std::string, uint32_t> wildcards;
  auto is_served = [](const Listen& listen) { return !listen.ssl && !listen.quic; };
  for (uint32_t i = 0; i < listens.size(); ++i) {
    if (listens[i].wildcard && is_served(listens[i])) wildcards.emplace(key(listens[i]), i);
  }
  for (Listen& listen : listens) {
    if (listen.wildcard || listen.bind || !is_served(listen)) continue;
    if (listen.text.starts_with("unix:")) continue;
    auto found = wildcards.find(key(listen));
    if (found != wildcards.end()) listen.served_by = found->second;
  }
}

}  // namespace bulkhead::config
