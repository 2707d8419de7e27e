#include "front/builtin_values.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <ctime>

#include "front/plan.h"
#include "front/variables.h"
#include "http/date.h"

namespace bulkhead::front {

using config::Var;

namespace {

// Decodes base64 as far as it is valid; `out` has room for 3/4 of the text.
size_t decode_base64(std::string_view text, char* out) {
  uint32_t bits = 0;
  int have = 0;
  size_t size = 0;
  for (char c : text) {
    int v = c >= 'A' && c <= 'Z'   ? c - 'A'
            : c >= 'a' && c <= 'z' ? c - 'a' + 26
            : c >= '0' && c <= '9' ? c - '0' + 52
            : c == '+'             ? 62
            : c == '/'             ? 63
                                   : -1;
    if (v < 0) break;
    bits = (bits << 6 | static_cast<uint32_t>(v)) & 0xffffff;
    if ((have += 6) >= 8) out[size++] = static_cast<char>(bits >> (have -= 8));
  }
  return size;
}

Value remote_user(Exchange& ex) {
  std::string_view header = ex.request->find_value(http::HeaderId::kAuthorization);
  if (header.size() < 6 || !(header[0] == 'B' || header[0] == 'b') || header[5] != ' ') return {};
  header.remove_prefix(6);
  while (header.starts_with(' ')) header.remove_prefix(1);
  char* at = ex.arena.allocate(header.size());
  std::string_view decoded(at, decode_base64(header, at));
  size_t colon = decoded.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  return {decoded.substr(0, colon), true};
}

Value content_length(Exchange& ex) {
  if (ex.request->has_content_length()) {
    return {number_text(ex, ex.request->content_length()), true};
  }
  if (ex.body_length >= 0) return {number_text(ex, static_cast<uint64_t>(ex.body_length)), true};
  return {};
}

Value forwarded_for(Exchange& ex) {
  Value before = value_of(ex, {config::RefKind::kHttp, 0, "x_forwarded_for"});
  if (!before.found) return {ex.connection->peer, true};
  size_t bytes = before.text.size() + 2 + ex.connection->peer.size();
  char* at = ex.arena.allocate(bytes);
  char* next = std::copy(before.text.begin(), before.text.end(), at);
  *next++ = ',';
  *next++ = ' ';
  std::copy(ex.connection->peer.begin(), ex.connection->peer.end(), next);
  return {{at, bytes}, true};
}

std::string_view request_id(Exchange& ex) {
  if (!ex.request_id.empty()) return ex.request_id;
  unsigned char bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) memset(bytes, 0, sizeof bytes);
  char* at = ex.arena.allocate(32);
  for (int i = 0; i < 16; ++i) {
    at[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    at[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  ex.request_id = {at, 32};
  return ex.request_id;
}

Value when_set(std::string_view text) { return {text, text.data() != nullptr}; }

Value tcp_info_value(Exchange& ex, Var var) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (ex.connection->socket < 0 ||
      getsockopt(ex.connection->socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
    return {};
  }
  switch (var) {
    case Var::kTcpinfoRtt:
      return {number_text(ex, info.tcpi_rtt), true};
    case Var::kTcpinfoRttvar:
      return {number_text(ex, info.tcpi_rttvar), true};
    case Var::kTcpinfoSndCwnd:
      return {number_text(ex, info.tcpi_snd_cwnd), true};
    default:
      return {number_text(ex, info.tcpi_rcv_space), true};
  }
}

int64_t elapsed_ms(const Exchange& ex, std::chrono::steady_clock::time_point since) {
  auto passed = ex.ambient->loop->now() - since;
  return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

Value date_text(Exchange& ex, bool local) {
  time_t now = static_cast<time_t>(ex.ambient->loop->wall_seconds());
  tm parts{};
  if (local) {
    localtime_r(&now, &parts);
  } else {
    gmtime_r(&now, &parts);
  }
  char* at = ex.arena.allocate(64);
  size_t size = strftime(at, 64, "%A, %d-%b-%Y %H:%M:%S %Z", &parts);
  return {{at, size}, true};
}

Value status_value(Exchange& ex) {
  unsigned status = ex.error_status != 0 ? ex.error_status : ex.response.status;
  if (status == 0 && ex.request != nullptr && ex.request->version() == 9) status = 9;
  char* at = ex.arena.allocate(3);
  at[0] = static_cast<char>('0' + status / 100 % 10);
  at[1] = static_cast<char>('0' + status / 10 % 10);
  at[2] = static_cast<char>('0' + status % 10);
  return {{at, 3}, true};
}

}  // namespace

bool request_variable(Exchange& ex, Var var, Value* out) {
  const http::RequestParser& request = *ex.request;
  switch (var) {
    case Var::kContentLength:
      *out = content_length(ex);
      return true;
    case Var::kContentType: {
      const http::HeaderField* h = request.find(http::HeaderId::kContentType);
      *out = h == nullptr ? Value{} : Value{request.value(*h), true};
      return true;
    }
    case Var::kProxyAddXForwardedFor:
      *out = forwarded_for(ex);
      return true;
    case Var::kRemoteUser:
      *out = remote_user(ex);
      return true;
    case Var::kRequest:
      *out = when_set(request.request_line());
      return true;
    case Var::kRequestBody:
      *out = {ex.request_body, ex.body_in_memory_known};
      return true;
    case Var::kRequestBodyFile:
      *out = when_set(ex.request_body_file);
      return true;
    case Var::kRequestId:
      *out = {request_id(ex), true};
      return true;
    case Var::kRequestLength:
      *out = {number_text(ex, request.head_size() + ex.request_body_bytes), true};
      return true;
    case Var::kRequestMethod:
      *out = when_set(ex.method_name);
      return true;
    case Var::kRequestUri:
      *out = when_set(request.request_uri());
      return true;
    case Var::kServerProtocol:
      *out = when_set(request.protocol_text());
      return true;
    case Var::kPipe:
      *out = {".", true};
      return true;
    default:
      return false;
  }
}

bool routing_variable(Exchange& ex, Var var, Value* out) {
  switch (var) {
    case Var::kArgs:
    case Var::kQueryString:
      *out = when_set(ex.args);
      return true;
    case Var::kUri:
    case Var::kDocumentUri:
      *out = when_set(ex.uri);
      return true;
    case Var::kIsArgs:
      *out = {ex.args.empty() ? "" : "?", true};
      return true;
    case Var::kDocumentRoot:
      *out = {document_root(ex), true};
      return true;
    case Var::kRealpathRoot:
      *out = realpath_is_known(ex) ? Value{ex.realpath_root, true} : Value{};
      return true;
    case Var::kRequestFilename:
      *out = {path_of_uri(ex).path, true};
      return true;
    case Var::kFastcgiScriptName:
      *out = {fastcgi_script_name(ex), true};
      return true;
    case Var::kFastcgiPathInfo:
      split_path_info(ex);
      *out = {ex.path_info, true};
      return true;
    case Var::kHost: {
      std::string_view host = ex.request->host();
      *out = {host.empty() ? std::string_view(ex.server->source->primary_name) : host, true};
      return true;
    }
    case Var::kServerName:
      *out = {ex.server->source->primary_name, true};
      return true;
    case Var::kLimitRate:
      *out = {number_text(ex, ex.limit_rate.value_or(0)), true};
      return true;
    default:
      return false;
  }
}

bool connection_variable(Exchange& ex, Var var, Value* out) {
  const ConnectionFacts& c = *ex.connection;
  auto port = [&ex](uint16_t number) {
    return Value{number == 0 ? std::string_view("") : number_text(ex, number), true};
  };
  auto count = [&ex](const std::atomic<uint64_t>& n) {
    return Value{number_text(ex, n.load(std::memory_order_relaxed)), true};
  };
  switch (var) {
    case Var::kBinaryRemoteAddr:
      *out = {c.peer_binary, true};
      return true;
    case Var::kRemoteAddr:
      *out = {c.peer, true};
      return true;
    case Var::kRemotePort:
      *out = port(c.peer_port);
      return true;
    case Var::kServerAddr:
      *out = {c.local, true};
      return true;
    case Var::kServerPort:
      *out = port(c.local_port);
      return true;
    case Var::kConnection:
      *out = {number_text(ex, c.serial), true};
      return true;
    case Var::kConnectionRequests:
      *out = {number_text(ex, c.requests), true};
      return true;
    case Var::kConnectionTime:
      *out = {seconds_text(ex, elapsed_ms(ex, c.started)), true};
      return true;
    case Var::kScheme:
      *out = {c.tls ? "https" : "http", true};
      return true;
    case Var::kHttps:
      *out = {c.tls ? "on" : "", true};
      return true;
    case Var::kHostname:
      *out = {ex.ambient->hostname, true};
      return true;
    case Var::kPid:
      *out = {number_text(ex, ex.ambient->pid), true};
      return true;
    case Var::kNginxVersion:
      *out = {"1.22.1", true};
      return true;
    case Var::kTcpinfoRtt:
    case Var::kTcpinfoRttvar:
    case Var::kTcpinfoSndCwnd:
    case Var::kTcpinfoRcvSpace:
      *out = tcp_info_value(ex, var);
      return true;
    case Var::kConnectionsActive:
      *out = count(ex.ambient->counters->active);
      return true;
    case Var::kConnectionsReading:
      *out = count(ex.ambient->counters->reading);
      return true;
    case Var::kConnectionsWriting:
      *out = count(ex.ambient->counters->writing);
      return true;
    case Var::kConnectionsWaiting:
      *out = count(ex.ambient->counters->waiting);
      return true;
    default:
      return false;
  }
}

bool time_variable(Exchange& ex, Var var, Value* out) {
  const loop::EventLoop& loop = *ex.ambient->loop;
  switch (var) {
    case Var::kMsec:
      *out = {seconds_text(ex, loop.wall_seconds() * 1000 + loop.wall_millis()), true};
      return true;
    case Var::kTimeIso8601:
      *out = {ex.ambient->times->iso8601(), true};
      return true;
    case Var::kTimeLocal:
      *out = {ex.ambient->times->log(), true};
      return true;
    case Var::kDateGmt:
      *out = date_text(ex, false);
      return true;
    case Var::kDateLocal:
      *out = date_text(ex, true);
      return true;
    case Var::kRequestTime:
      *out = {seconds_text(ex, elapsed_ms(ex, ex.started)), true};
      return true;
    default:
      return false;
  }
}

bool response_variable(Exchange& ex, Var var, Value* out) {
  switch (var) {
    case Var::kStatus:
      *out = status_value(ex);
      return true;
    case Var::kBodyBytesSent:
      *out = {number_text(ex, ex.body_bytes_sent), true};
      return true;
    case Var::kBytesSent:
      *out = {number_text(ex, ex.bytes_sent), true};
      return true;
    case Var::kRequestCompletion:
      *out = {ex.completed ? "OK" : "", true};
      return true;
    default:
      return false;
  }
}

bool upstream_variable(Exchange& ex, Var var, Value* out) {
  auto number = [&ex](int64_t n) {
    return n < 0 ? "-" : number_text(ex, static_cast<uint64_t>(n));
  };
  auto time = [&ex](int64_t ms) { return ms < 0 ? "-" : seconds_text(ex, ms); };
  auto one = [&](const UpstreamTry& t) -> std::string_view {
    switch (var) {
      case Var::kUpstreamAddr:
        return t.address;
      case Var::kUpstreamStatus:
        return number(t.status == 0 ? -1 : t.status);
      case Var::kUpstreamConnectTime:
        return time(t.connect_ms);
      case Var::kUpstreamHeaderTime:
        return time(t.header_ms);
      case Var::kUpstreamResponseTime:
        return time(t.response_ms);
      case Var::kUpstreamResponseLength:
        return number(static_cast<int64_t>(t.response_length));
      case Var::kUpstreamBytesReceived:
        return number(static_cast<int64_t>(t.bytes_received));
      case Var::kUpstreamBytesSent:
        return number(static_cast<int64_t>(t.bytes_sent));
      default:
        return {};
    }
  };
  if (ex.tries.empty() || one(ex.tries[0]).data() == nullptr) return false;
  if (ex.tries.size() == 1) {
    *out = {one(ex.tries[0]), true};
    return true;
  }
  std::string joined;
  for (const UpstreamTry& t : ex.tries) {
    if (!joined.empty()) joined += ", ";
    joined += one(t);
  }
  *out = {ex.arena.copy(joined), true};
  return true;
}

Value builtin_value(Exchange& ex, Var var) {
  Value value;
  bool known = routing_variable(ex, var, &value) || connection_variable(ex, var, &value) ||
               time_variable(ex, var, &value) || response_variable(ex, var, &value) ||
               (ex.request != nullptr && request_variable(ex, var, &value)) ||
               upstream_variable(ex, var, &value);
  return known ? value : Value{};
}

}  // namespace bulkhead::front
