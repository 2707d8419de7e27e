// The CGI variables an application gets, and which application gets them.
//
// Runs in: front.  Input: request headers (hostile); fastcgi_pass and fastcgi_param (trusted).
// Ref: nginx ngx_http_fastcgi_module 1.22; RFC 3875 4.1.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "front/site_shares.h"
#include "front/steps.h"
#include "front/variables.h"
#include "http/ascii.h"

namespace bulkhead::front {

using config::LogLevel;

namespace {

constexpr std::string_view kNotStarted = "the site could not be started";  // site_client.cc
// Seconds after which a client may try again a site that refused for being full.
constexpr std::string_view kRetryAfter = "1";

char cgi_char(char c) { return c == '-' ? '_' : http::to_upper(c); }

// A fastcgi_param named HTTP_X replaces the request's header X.
bool is_replaced(const config::FastcgiConf& conf, std::string_view cgi_name) {
  for (const config::SharedParam& p : conf.params) {
    if (p->name.size() == cgi_name.size() && p->name == cgi_name) return true;
  }
  return false;
}

std::string_view header_param_name(Exchange& ex, std::string_view name) {
  constexpr std::string_view kPrefix = "HTTP_";
  char* at = ex.arena.allocate(kPrefix.size() + name.size());
  char* next = std::copy(kPrefix.begin(), kPrefix.end(), at);
  std::transform(name.begin(), name.end(), next, cgi_char);
  return {at, kPrefix.size() + name.size()};
}

// "unix:/path", "127.0.0.1:9000", "[::1]:9000" as a raw sockaddr; empty for anything else.
std::string parse_sockaddr(std::string_view address) {
  if (address.starts_with("unix:")) {
    std::string_view path = address.substr(5);
    sockaddr_un sun{};
    if (path.empty() || path.size() >= sizeof sun.sun_path) return {};
    sun.sun_family = AF_UNIX;
    memcpy(sun.sun_path, path.data(), path.size());
    return {reinterpret_cast<const char*>(&sun), sizeof sun};
  }
  size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return {};
  auto port = http::parse_decimal(address.substr(colon + 1), 65535);
  if (!port) return {};
  std::string host(address.substr(0, colon));
  sockaddr_in in4{};
  if (inet_pton(AF_INET, host.c_str(), &in4.sin_addr) == 1) {
    in4.sin_family = AF_INET;
    in4.sin_port = htons(static_cast<uint16_t>(*port));
    return {reinterpret_cast<const char*>(&in4), sizeof in4};
  }
  sockaddr_in6 in6{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) == 1) {
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(static_cast<uint16_t>(*port));
      return {reinterpret_cast<const char*>(&in6), sizeof in6};
    }
  }
  return {};
}

}  // namespace

void Steps::build_params(Exchange& ex) {
  const config::FastcgiConf& conf = ex.conf().fastcgi;
  ex.params.clear();
  for (const config::SharedParam& shared : conf.params) {
    const config::FastcgiParam& p = *shared;
    // `fastcgi_param HTTP_X "";` only takes the header away.
    if (p.name.starts_with("HTTP_") && p.value.is_literal() && p.value.literal().empty()) continue;
    std::string_view value = evaluate(ex, p.value);
    if (p.if_not_empty && value.empty()) continue;
    ex.params.add(p.name, value);
  }
  if (conf.pass_request_headers) {
    for (const http::HeaderField& h : ex.request->headers()) {
      if (h.id == http::HeaderId::kProxy) continue;
      std::string_view name = header_param_name(ex, ex.request->name(h));
      if (name == "HTTP_PROXY" || is_replaced(conf, name)) continue;
      ex.params.add(name, ex.request->value(h));
    }
  }
  ex.params_ready = true;
}

Next Steps::start_app(Exchange& ex) {
  ex.split_done = false;
  ex.tries.clear();
  ex.peers.forget();
  ex.params_ready = false;
  ex.accel_buffering = ex.conf().fastcgi.buffering;
  if (ex.conf().is_alias && !ex.location_is_valid) return fail(ex, 500);
  // A chunked body is always read first: FastCGI needs its length (as in nginx).
  if (!ex.request->is_chunked() || ex.body_length >= 0) {
    build_params(ex);
  }
  ex.target = AppTarget();
  ex.target.upstream = ex.location->upstream;
  if (ex.target.upstream == config::kNone) {
    std::string_view address = evaluate(ex, ex.conf().fastcgi.pass->address);
    if (!resolve_target(ex, address)) {
      log(ex, LogLevel::kError,
          "no resolver defined to resolve " + std::string(address.substr(0, address.rfind(':'))),
          0);
      return fail(ex, 502);
    }
  }
  output_.pass_to_app(ex);
  return Next::kOver;
}

// fastcgi_pass with variables: an upstream's name, a pool's address, or a socket.
bool Steps::resolve_target(Exchange& ex, std::string_view address) {
  if (address.starts_with("fastcgi://")) address.remove_prefix(10);
  ex.target.upstream = ex.plan->find_upstream(address);
  if (ex.target.upstream != config::kNone) return true;
  ex.target.address = address;
  if (auto site = config::site_of_address(ex.plan->snapshot(), address)) {
    ex.target.kind = AppTarget::Kind::kSite;
    ex.target.site = *site;
    ex.target.client = ex.arena.copy(client_of_address(address));
    return true;
  }
  std::string sockaddr = parse_sockaddr(address);
  if (sockaddr.empty()) return false;
  ex.target.kind = AppTarget::Kind::kSocket;
  ex.target.sockaddr = ex.arena.copy(sockaddr);
  return true;
}

Steps::Peer Steps::choose_peer(Exchange& ex) {
  if (ex.target.upstream != config::kNone) {
    const UpstreamPlan& upstream = ex.plan->upstreams()[ex.target.upstream];
    const PeerTime now = ambient_.loop->now();
    if (!ex.peers.begun()) {
      using Method = config::Upstream::Method;
      std::string_view key;
      if (upstream.source->method == Method::kHash) {
        key = evaluate(ex, upstream.source->hash_key);
      } else if (upstream.source->method == Method::kIpHash) {
        key = ex.connection->peer_binary;
      }
      ex.peers.begin(peers_.group(*ex.plan, ex.target.upstream), key, now);
      const uint32_t most = ex.conf().fastcgi.next_upstream_tries;
      if (most != 0) ex.peers.limit_tries(most);
    }
    const uint32_t index = ex.peers.next(now);
    if (index == config::kNone) {
      ex.tries.emplace_back().address = upstream.source->name;
      ex.tries.back().status = 502;
      ex.tries.back().asked = true;
      log(ex, LogLevel::kError, "no live upstreams while connecting to upstream", 0);
      return Peer::kNone;
    }
    const PeerPlan& peer = upstream.peers[index];
    ex.target.kind = peer.is_site ? AppTarget::Kind::kSite : AppTarget::Kind::kSocket;
    ex.target.site = peer.site;
    ex.target.client = peer.client;
    ex.target.address = peer.address;
    ex.target.sockaddr = peer.sockaddr;
  }
  ex.tries.emplace_back().address = ex.target.address;
  return Peer::kChosen;
}

// Whether a try that ended for `reason` is followed by another; `sent`: the server may have begun
// to work on the request.
bool Steps::may_retry(const Exchange& ex, uint32_t reason, bool sent) const {
  constexpr uint32_t kNonIdempotent = 256;
  const config::FastcgiConf& conf = ex.conf().fastcgi;
  if (ex.target.upstream == config::kNone || ex.peers.tries_left() <= 1) return false;
  const bool idempotent = ex.method != http::Method::kPost && ex.method != http::Method::kLock &&
                          ex.method != http::Method::kPatch;
  if (sent && !idempotent) reason |= kNonIdempotent;
  if ((conf.next_upstream & reason) != reason) return false;
  if (conf.next_upstream_timeout.count() != 0 &&
      ambient_.loop->now() - ex.peers.started() >= conf.next_upstream_timeout) {
    return false;
  }
  return !sent || conf.request_buffering || !ex.request->has_content_length();
}

// The server has not served the request: says so to the balancer, and forgets the try.
void Steps::end_try(Exchange& ex, PeerChoice::Outcome outcome, std::string_view action) {
  if (ex.peers.end(outcome, ambient_.loop->now()) == PeerChoice::Verdict::kDisabled) {
    log(ex, LogLevel::kWarn, "upstream server temporarily disabled while " + std::string(action),
        0);
  }
  output_.drop_app(ex);
}

Next Steps::app_error(Exchange& ex, AppError error, std::string_view detail) {
  bool in_body = ex.response.head_sent;
  std::string text(detail);
  std::string_view action = in_body ? "reading upstream" : "reading response header from upstream";
  uint32_t reason = 1;
  uint16_t status = 502;
  auto level = LogLevel::kError;
  switch (error) {
    case AppError::kNone:
      return Next::kOver;
    case AppError::kConnect:
      action = "connecting to upstream";
      if (text == kNotStarted) status = 503;  // its sandbox or its PHP refuses: not a bad answer
      if (text.find("(2: ") != std::string::npos || text.find("(13: ") != std::string::npos) {
        level = LogLevel::kCrit;
      }
      break;
    case AppError::kConnectTimeout:
    case AppError::kTimeout:
      if (error == AppError::kConnectTimeout) action = "connecting to upstream";
      text = "upstream timed out (110: Connection timed out)";
      reason = 2;
      status = 504;
      break;
    case AppError::kClosed:
    case AppError::kClosedInBody:
      if (text.empty()) text = "upstream prematurely closed FastCGI stdout";
      break;
    case AppError::kInvalid:
      reason = 4;
      if (text.empty()) text = "upstream sent invalid header";
      break;
    case AppError::kBusy:
      action = "connecting to upstream";
      status = 503;
      break;
  }
  if (text.find(" while ") == std::string::npos) {
    text += " while ";
    text += action;
  }
  if (in_body) {
    log(ex, level, text, 0);
    return Next::kOver;
  }
  if (!ex.tries.empty() && ex.tries.back().status == 0) ex.tries.back().status = status;
  const bool again = may_retry(ex, reason, ex.tries.empty() || ex.tries.back().bytes_sent != 0);
  // The order of nginx's lines: a timeout is told after its consequence.
  const bool is_told = error != AppError::kBusy || may_tell_refusal(ex.target.site);
  if (status != 504 && is_told) log(ex, level, text, 0);
  end_try(ex, PeerChoice::Outcome::kFailed, action);
  if (status == 504) log(ex, level, text, 0);
  if (!again && status == 503) ex.response.headers.push_back({"Retry-After", kRetryAfter});
  if (!again) return fail(ex, status);
  output_.pass_to_app(ex);
  return Next::kOver;
}

Next Steps::site_full(Exchange& ex, uint32_t site, std::string_view why) {
  if (may_tell_refusal(site)) log(ex, LogLevel::kError, why, 0);
  ex.response.headers.push_back({"Retry-After", kRetryAfter});
  return fail(ex, 503);
}

// A site that refuses thousands must not fill the log: one line a second.
bool Steps::may_tell_refusal(uint32_t site) const {
  return ambient_.shares == nullptr ||
         ambient_.shares->of(site).may_tell(ambient_.loop->wall_seconds());
}

}  // namespace bulkhead::front
