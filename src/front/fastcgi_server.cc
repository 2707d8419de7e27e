#include "front/fastcgi_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "front/fastcgi_connection.h"
#include "sys/stream_connect.h"

namespace bulkhead::front {
namespace {

using Address = std::array<unsigned char, 16>;

Address map_inet4(const void* four_bytes) {
  Address out{};
  out[10] = out[11] = 0xff;
  std::memcpy(out.data() + 12, four_bytes, 4);
  return out;
}

bool is_same_pool(const PoolSocket& a, const PoolSocket& b) {
  return a.site == b.site && sys::is_same_socket(*a.socket, *b.socket);
}

}  // namespace

AllowedClients::AllowedClients(const std::vector<std::string>& addresses)
    : is_limited_(!addresses.empty()) {
  for (const std::string& text : addresses) {
    in_addr inet4{};
    Address inet6{};
    if (::inet_pton(AF_INET, text.c_str(), &inet4) == 1) {
      addresses_.push_back(map_inet4(&inet4));
    } else if (::inet_pton(AF_INET6, text.c_str(), inet6.data()) == 1) {
      addresses_.push_back(inet6);
    }
  }
}

bool AllowedClients::allows(const sys::SocketAddress& peer) const {
  if (!is_limited_) return true;
  Address address{};
  if (peer.storage.ss_family == AF_INET) {
    address = map_inet4(&reinterpret_cast<const sockaddr_in&>(peer.storage).sin_addr);
  } else if (peer.storage.ss_family == AF_INET6) {
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6&>(peer.storage).sin6_addr,
                address.size());
  } else {
    return true;  // a unix socket's owner and mode decide
  }
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}

FastcgiService::FastcgiService(loop::EventLoop& loop, SiteClient& sites, Log log)
    : FastcgiService(
          loop,
          [&sites](const AppRequest& request, AppListener* listener) {
            return sites.start(request, listener);
          },
          std::move(log), Limits()) {}

FastcgiService::FastcgiService(loop::EventLoop& loop, StartApp start_app, Log log, Limits limits)
    : loop_(loop), start_app_(std::move(start_app)), log_(std::move(log)), limits_(limits) {}

FastcgiService::~FastcgiService() { *alive_ = false; }

void FastcgiService::update(std::vector<PoolSocket> sockets) {
  std::unordered_map<std::string, Entry> before;
  for (Entry& entry : entries_) before.emplace(entry.pool->config.text, std::move(entry));
  entries_.clear();
  for (PoolSocket& socket : sockets) {
    const auto found = before.find(socket.text);
    if (found != before.end() && is_same_pool(found->second.pool->config, socket)) {
      entries_.push_back(std::move(found->second));
      before.erase(found);
    } else {
      entries_.push_back({std::make_shared<Pool>(), nullptr});
    }
    Pool& pool = *entries_.back().pool;
    pool.allowed = AllowedClients(socket.allowed_clients);
    pool.config = std::move(socket);
    if (entries_.back().listener == nullptr && !quitting_) listen_on(entries_.back());
  }
  for (auto& [text, gone] : before) gone.pool->current = false;
  close_idle_connections();
}

void FastcgiService::listen_on(Entry& entry) {
  const PoolSocket& config = entry.pool->config;
  entry.listener = std::make_unique<Listener>(
      loop_, config.socket, config.text,
      [this, pool = entry.pool](Listener& listener, sys::Accepted accepted) {
        on_accept(pool, listener, std::move(accepted));
      });
  entry.listener->site = config.site;
  if (Status started = entry.listener->start(); !started) {
    log_(config::LogLevel::kAlert, started.error().describe());
  }
}

void FastcgiService::on_accept(const std::shared_ptr<Pool>& pool, Listener& listener,
                               sys::Accepted accepted) {
  if (accepted.error != 0) {
    log_(config::LogLevel::kCrit, Error{"accept4() failed", accepted.error}.describe());
    listener.rest();
    return;
  }
  if (!pool->allowed.allows(accepted.peer)) {
    log_(config::LogLevel::kError, "Connection disallowed: IP address '" +
                                       sys::print_ip(accepted.peer) + "' has been dropped.");
    return;
  }
  if (quitting_ || connections_.size() >= limits_.connections_max) return;
  connections_.push_back(std::make_unique<FastcgiConnection>(*this, pool, std::move(accepted)));
  connections_.back()->place = std::prev(connections_.end());
  if (Status started = connections_.back()->start(); !started) {
    log_(config::LogLevel::kAlert, started.error().describe());
    connections_.pop_back();
  }
}

void FastcgiService::close_idle_connections() {
  // close() only schedules the connection's end, so the list does not change here.
  for (auto& connection : connections_) {
    if (must_close_idle(connection->pool())) connection->close_if_idle();
  }
}

void FastcgiService::quit() {
  if (quitting_) return;
  quitting_ = true;
  entries_.clear();
  close_idle_connections();
}

void FastcgiService::retire(FastcgiConnection* connection) {
  loop_.defer([this, alive = alive_, connection] {
    if (!*alive) return;
    connections_.erase(connection->place);
    if (connections_.empty() && on_empty) on_empty();
  });
}

}  // namespace bulkhead::front
