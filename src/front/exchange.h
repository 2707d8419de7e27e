// Everything of one request: what the client asked, what has been decided, and the response so far.
//
// Runs in: front.  Input: request bytes are hostile; application heads are hostile; the rest is
// ours. Threads: one loop.  An Exchange is reused for request after request of a connection:
// reset() keeps its memory, so steady state allocates nothing.  Every string_view in it points into
// the request's head buffer (which must not move after start()), the arena, the configuration, or
// static text; all live until reset().
//
// Written by: connection code before Phases::start() (marked C), phases and filters (P), output
// (O).
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "front/app_stream.h"
#include "front/arena.h"
#include "front/files.h"
#include "front/peers.h"
#include "http/date.h"
#include "http/request_parser.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

class Plan;  // plan.h: the routing snapshot
struct ServerPlan;
struct LocationPlan;
class LoopShares;
class MetricsDesk;
class Phases;
class Suspension;  // phases.cc: where a request waits

// Connection counts of the whole front, for stub_status and $connections_*.  Threads: any.
struct ServerCounters {
  std::atomic<uint64_t> accepted{0}, handled{0}, requests{0};
  std::atomic<uint64_t> active{0}, reading{0}, writing{0}, waiting{0};
};

// What a loop offers to everything that answers on it.
struct Ambient {
  loop::EventLoop* loop = nullptr;
  ServerCounters* counters = nullptr;
  uint32_t pid = 0;
  std::string hostname;
  http::TimeCache* times = nullptr;  // Phases brings its own when null
  Phases* phases = nullptr;          // set by Phases itself: for warnings of variables
  MetricsDesk* metrics = nullptr;    // where to ask for them; null: nowhere
  LoopShares* shares = nullptr;      // which refusals are still to be told
};

// ---- the connection, as variables and logs see it ------------------------------------------- (C)
struct ConnectionFacts {
  uint64_t serial = 0;    // $connection, "*N" of log lines
  uint64_t requests = 0;  // requests so far on it, this one included
  uint32_t listen = 0;    // index into Model::listens
  int socket = -1;        // for $tcpinfo_*
  std::string peer;       // "127.0.0.1", "::1", "unix:"
  uint16_t peer_port = 0;
  std::string peer_binary;  // 4 or 16 address bytes; "unix:" for a Unix socket
  bool peer_is_unix = false;
  std::string local;        // $server_addr: address the client connected to, without port
  uint16_t local_port = 0;  // 0 for a Unix socket
  std::chrono::steady_clock::time_point started;
  bool tls = false;
};

// ---- the request ------------------------------------------------------------------------------
// A value that may be absent ("-" in logs) as opposed to empty.
struct Value {
  std::string_view text;
  bool found = false;
};

// Groups of the newest successful match: $1 ... $9.
struct LastMatch {
  std::string_view subject;
  config::Captures groups;  // count 0: none
};

// ---- who answers ----------------------------------------------------------------------------
struct AppTarget {
  enum class Kind : uint8_t { kNone, kSite, kSocket } kind = Kind::kNone;
  uint32_t site = 0;          // kSite: the pool's ring
  std::string_view address;   // kSocket: as printed in logs, "127.0.0.1:9000", "unix:/x.sock"
  std::string_view sockaddr;  // kSocket: raw bytes to connect to
  uint32_t upstream = config::kNone;  // Model::upstreams, for keepalive pools
  std::string_view client;            // kSite: whom a pool that listens on TCP would see asking
};
// One try of an upstream, for $upstream_* variables.
struct UpstreamTry {
  std::string_view address;
  uint16_t status = 0;  // 0: none came
  int64_t connect_ms = -1, header_ms = -1, response_ms = -1;
  bool asked = false;  // (O) the request is on its way: its body has been read
  uint64_t bytes_received = 0, bytes_sent = 0, response_length = 0;
};

// ---- the response -----------------------------------------------------------------------------
struct ResponseHeader {
  std::string_view name, value;  // name "" : removed
};
enum class BodyKind : uint8_t { kNone, kPieces, kApp };
// Part of a response whose length is known: text, or a stretch of Response::file.
struct BodyPiece {
  std::string_view text;  // when non-empty; else bytes of the file
  uint64_t offset = 0, size = 0;
};

struct Response {
  uint16_t status = 0;
  std::string_view status_text;   // "404 Nothing here" from an application; "" = the usual phrase
  std::string_view content_type;  // without charset
  std::string_view charset;
  std::string_view override_charset;      // X-Accel-Charset
  bool content_type_is_complete = false;  // written as it is, no charset added
  int64_t content_length = -1;            // -1: unknown
  int64_t last_modified = -1;
  std::string_view etag;      // with quotes
  std::string_view location;  // made absolute when it starts with '/'
  std::string_view content_encoding;
  std::vector<ResponseHeader> headers;  // in order, after nginx's own
  std::vector<ResponseHeader> trailers;
  bool allow_ranges = false;  // the body can be cut
  bool header_only = false;   // no body bytes follow (HEAD, 204, 304)
  bool chunked = false;       // Transfer-Encoding: chunked is in the head
  bool head_sent = false;     // respond() has been called
  bool from_app = false;      // no conditional answers: the application decides
  bool has_date = false, has_server = false, has_last_modified = false;  // in `headers` already

  BodyKind body = BodyKind::kNone;
  std::vector<BodyPiece> pieces;  // kPieces
  FileRef file;                   // what pieces without text are cut from
  std::string body_text;          // owns generated bodies; pieces point into it
};

// ---- the request with all of it ---------------------------------------------------------------
struct Exchange {
  // Identity (C): set once per connection or before start().
  std::shared_ptr<const Plan> plan;  // the snapshot this request is served by
  const ConnectionFacts* connection = nullptr;
  void* owner = nullptr;                         // the connection's own object, for Output's use
  const http::RequestParser* request = nullptr;  // the head; the connection keeps it until reset()
  std::chrono::steady_clock::time_point started;
  int64_t started_wall_ms = 0;

  const Ambient* ambient = nullptr;  // the loop's clock and counters (P)

  // Routing (P).
  const ServerPlan* server = nullptr;
  const LocationPlan* location = nullptr;    // never null after start(): the server's own at first
  std::string_view uri;                      // $uri: decoded, current
  std::string_view args;                     // $args: current
  std::string_view method_name;              // $request_method: current
  http::Method method = http::Method::kGet;  // current: error_page turns it into GET
  uint8_t uri_changes_left = 11;             // rewrites and internal redirects together
  uint8_t handler = 0;            // plan.h Handler; an `if` without one keeps its location's
  bool uri_changed = false;       // a rewrite changed it: find the location again
  bool escapes_captures = false;  // the request's path had '%' or '+': captures are escaped in args
  bool unparsed_uri_is_valid = true;
  bool location_is_valid = true;   // false after `rewrite ... break`: alias cannot be used
  bool add_uri_to_alias = false;   // try_files in a regular expression location with alias
  bool internal = false;           // came by internal redirect or rewrite
  bool error_page_active = false;  // an error page is being produced
  bool filter_finalized = false;   // the response was replaced while its head was filtered
  uint16_t error_status = 0;       // replaces the status of what is sent; 0: none
  LastMatch match;
  std::vector<Value> user_variables;  // by slot; found = set
  std::vector<Value> map_values;      // by map; with map_done
  std::vector<bool> map_done;
  std::string_view realpath_of, realpath_root;  // $realpath_root and the directory it is of
  // fastcgi_split_path_info, computed when first asked for
  bool split_done = false;
  std::string_view script_name, path_info;
  std::optional<uint64_t> limit_rate;  // bytes per second, set by `set` or X-Accel-Limit-Rate
  std::string_view request_id;

  // The application (P fills target and params; O keeps the stream and the tries' numbers).
  AppTarget target;
  Params params;
  bool params_ready = false;
  PeerChoice peers;                   // of the upstream; O releases it when the answer is over
  std::vector<UpstreamTry> tries;     // the newest is the running one; P adds, O counts in it
  bool accel_buffering = true;        // X-Accel-Buffering and fastcgi_buffering
  int64_t body_length = -1;           // (O) of the request body once known
  bool body_in_memory_known = false;  // (O) request_body is valid
  std::string_view request_body, request_body_file;
  bool has_upstream_head = false;
  std::vector<ResponseHeader> upstream_headers;  // for $upstream_http_*

  Response response;
  std::string head;        // the response's head as bytes (P), sent by O
  bool keepalive = false;  // after this response the connection stays (P; O may clear)
  bool lingering = true;   // read what the client still sends before closing (P clears)

  // Counted by O, for logs and variables.
  uint64_t bytes_sent = 0, body_bytes_sent = 0;
  uint64_t request_body_bytes = 0;  // body bytes read, for $request_length
  bool completed = false;           // $request_completion
  bool logged = false;

  Arena arena;
  std::unique_ptr<Suspension> waiting;  // made once, reused

  Exchange();
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  // Ready for the next request of the same connection; keeps plan, connection, owner and memory.
  void reset();
  [[nodiscard]] const config::LocConf& conf() const;
};

}  // namespace bulkhead::front
