// Requests to FastCGI servers that are not our pools: stock php-fpm and others, over unix sockets
// or TCP.
//
// Runs in: front.  Input: everything the server sends is hostile.
// Threads: one event loop.  Blocks: never.  Which peer of an upstream is tried, and whether another
// one is tried next, the caller decides; this makes one try (and one more, silently, when a kept
// connection turns out to be dead before the request was read).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "front/app_stream.h"
#include "front/site_client.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

// Where a request goes and how its connection is made and kept.
struct FastcgiTarget {
  std::string_view address;   // for error texts: "unix:/run/x.sock", "127.0.0.1:9000"
  std::string_view sockaddr;  // raw bytes
  uint32_t connector = 0;     // the site that connects to a Unix socket for us; 0: we do it
  loop::Millis connect_timeout{60'000};
  bool keep_conn = false;     // fastcgi_keep_conn
  std::string_view upstream;  // name of the upstream{}; what its keepalive counts
  uint32_t keepalive = 0;     // idle connections kept for this upstream; 0: none
  uint32_t keepalive_requests = 1000;
  loop::Millis keepalive_timeout{60'000};
  loop::Millis keepalive_time{3'600'000};
};

// Whether nginx would log this detail at [crit] instead of [error]: connect() failed for a reason
// that is not the network's or a full queue (no such socket, no permission).
[[nodiscard]] bool is_critical_connect_error(std::string_view detail);

class FastcgiStream;

class FastcgiClient {
 public:
  // SiteClient::connect.
  using Connect = std::function<FileTicket(uint32_t site, std::string_view path, FileCallback)>;
  // In the .cc: Idle is incomplete here.  Without `connect` every target must have connector 0.
  explicit FastcgiClient(loop::EventLoop& loop, Connect connect = {});
  ~FastcgiClient();
  FastcgiClient(const FastcgiClient&) = delete;
  FastcgiClient& operator=(const FastcgiClient&) = delete;

  // Begins a request.  Of `request`, site, flags and queue_max are not used; params and inline_body
  // are copied.  Never null; failures come through `listener`, which must outlive the stream, and
  // `detail` then is the error log's sentence up to the comma before "client: ...":
  //   connect() to unix:/x failed (2: No such file or directory) while connecting to upstream
  // The stream must be destroyed before the client.
  [[nodiscard]] std::unique_ptr<AppStream> start(const FastcgiTarget& target,
                                                 const AppRequest& request, AppListener* listener);
  // Closes the connections nobody uses (reload, quit, out of descriptors); returns how many.
  size_t close_idle();
  [[nodiscard]] size_t idle() const { return idle_.size(); }

  // What is known of a connection besides its descriptor.
  struct Connection {
    sys::Fd fd;
    uint32_t requests = 0;  // that were begun on it
    loop::Clock::time_point opened{};
  };

 private:
  friend class FastcgiStream;
  class Idle;
  // A kept connection to this target that still lives, or an invalid one.
  Connection take_idle(const FastcgiTarget& target);
  void keep(const FastcgiTarget& target, Connection connection);
  void drop_idle(const Idle* which);
  std::unique_ptr<char[]> take_buffer();
  void give_buffer(std::unique_ptr<char[]> buffer);

  loop::EventLoop& loop_;
  Connect connect_;
  std::list<std::unique_ptr<Idle>> idle_;               // least recently used first
  std::vector<std::unique_ptr<char[]>> spare_buffers_;  // of finished streams
};

}  // namespace bulkhead::front
