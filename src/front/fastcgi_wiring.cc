#include "front/fastcgi_wiring.h"

#include <algorithm>
#include <unordered_map>

#include "front/plan.h"

namespace bulkhead::front {

FastcgiTarget fastcgi_target(const Exchange& ex) {
  const config::FastcgiConf& conf = ex.conf().fastcgi;
  FastcgiTarget out;
  out.address = ex.target.address;
  out.sockaddr = ex.target.sockaddr;
  out.connect_timeout = conf.connect_timeout;
  out.keep_conn = conf.keep_conn;
  const auto& upstreams = ex.plan->model().upstreams;
  if (ex.target.upstream >= upstreams.size()) return out;
  const config::Upstream& upstream = upstreams[ex.target.upstream];
  out.upstream = upstream.name;
  out.keepalive = upstream.keepalive;
  out.keepalive_requests = upstream.keepalive_requests;
  out.keepalive_timeout = upstream.keepalive_timeout;
  out.keepalive_time = upstream.keepalive_time;
  return out;
}

std::vector<PoolSocket> pool_sockets(const Runtime& runtime) {
  const config::Snapshot& snapshot = runtime.plan->snapshot();
  const size_t count = std::min(snapshot.pool_listen_sites.size(), runtime.pool_listeners.size());
  std::unordered_map<uint32_t, const config::Site*> by_id;
  for (const config::Site& site : snapshot.sites) by_id.emplace(site.id, &site);
  std::vector<PoolSocket> out;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t id = snapshot.pool_listen_sites[i];
    const auto found = by_id.find(id);
    if (found == by_id.end() || runtime.pool_listeners[i] == nullptr) continue;
    const config::Site& site = *found->second;
    PoolSocket socket;
    socket.site = id;
    socket.text = site.listen;
    socket.socket = runtime.pool_listeners[i];
    socket.allowed_clients = site.allowed_clients;
    socket.max_children = site.max_children;
    out.push_back(std::move(socket));
  }
  return out;
}

}  // namespace bulkhead::front
