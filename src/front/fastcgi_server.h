// The pools' FastCGI sockets: what stock nginx, cgi-fcgi or cachetool send there goes to the pool's
// ring, and the answer back as FastCGI records.
//
// Runs in: front.  Input: records from any process that may connect (hostile), responses of workers
// (hostile).  Threads: one event loop.  Blocks: never.
// One request at a time per connection, as php-fpm; PHP_VALUE and the like pass through unchanged,
// the pool decides.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "front/listener.h"
#include "front/site_client.h"
#include "front/site_counters.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

// listen.allowed_clients: TCP clients by address; an empty list allows all.
class AllowedClients {
 public:
  AllowedClients() = default;
  // Entries that are no IP address are left out (the configuration was checked when it was read).
  explicit AllowedClients(const std::vector<std::string>& addresses);
  [[nodiscard]] bool allows(const sys::SocketAddress& peer) const;

 private:
  using Address = std::array<unsigned char, 16>;  // IPv4 as ::ffff:a.b.c.d
  std::vector<Address> addresses_;
  bool is_limited_ = false;
};

// A pool's listening socket.
struct PoolSocket {
  uint32_t site = 0;
  std::string text;  // the listen address, tells sockets apart over reloads
  std::shared_ptr<sys::Fd> socket;
  std::vector<std::string> allowed_clients;
  uint32_t max_children = 0;  // for FCGI_GET_VALUES
  uint32_t queue_max = 511;   // requests that may wait for the site
};

class FastcgiConnection;

class FastcgiService {
 public:
  struct Limits {
    size_t connections_max = 8192;        // over all pools; more are closed at once
    loop::Millis first_bytes{5'000};      // a new connection must say something by then
    loop::Millis params{60'000};          // a request begun must be complete but for its body
    loop::Millis linger{5'000};           // reading what the peer still sends before closing
    loop::Millis stalled_write{600'000};  // the peer takes no byte of a response
    loop::Millis response{86'400'000};    // no progress of a script (request_terminate_timeout
                                          // is the pool's)
    uint32_t head_max = 256 * 1024;       // of a response
  };
  // A line for the error log.
  using Log = std::function<void(config::LogLevel level, std::string_view text)>;

  // Hands a request to its site: SiteClient::start(), or a stand-in in tests.
  using StartApp =
      std::function<std::unique_ptr<AppStream>(const AppRequest& request, AppListener* listener)>;

  FastcgiService(loop::EventLoop& loop, SiteClient& sites, Log log);
  FastcgiService(loop::EventLoop& loop, StartApp start_app, Log log, Limits limits);
  ~FastcgiService();
  FastcgiService(const FastcgiService&) = delete;
  FastcgiService& operator=(const FastcgiService&) = delete;

  // Accepts on exactly these sockets from now on.  Connections to pools that are gone are closed
  // when they are idle.
  void update(std::vector<PoolSocket> sockets);
  // Accepts nothing any more; closes connections as they become idle.
  void quit();
  // Called (if set) whenever the last connection closes.
  std::function<void()> on_empty;
  // Where requests are counted (if set).
  LoopCounters* counters = nullptr;
  [[nodiscard]] size_t open() const { return connections_.size(); }

 private:
  friend class FastcgiConnection;
  // A pool as its connections see it; lives while one of them does.
  struct Pool {
    PoolSocket config;
    AllowedClients allowed;
    bool current = true;
  };
  // A socket and who accepts on it.
  struct Entry {
    std::shared_ptr<Pool> pool;
    std::unique_ptr<Listener> listener;
  };
  void listen_on(Entry& entry);
  void close_idle_connections();
  void on_accept(const std::shared_ptr<Pool>& pool, Listener& listener, sys::Accepted accepted);
  // The connection is over; it is destroyed at the end of this iteration.
  void retire(FastcgiConnection* connection);
  [[nodiscard]] bool must_close_idle(const Pool& pool) const { return quitting_ || !pool.current; }

  loop::EventLoop& loop_;
  StartApp start_app_;
  Log log_;
  Limits limits_;
  std::vector<Entry> entries_;
  std::list<std::unique_ptr<FastcgiConnection>> connections_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool quitting_ = false;
};

}  // namespace bulkhead::front
