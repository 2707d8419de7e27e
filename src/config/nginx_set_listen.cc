// listen: one socket address, its options, and the servers behind it.
//
// Runs in: master, front.  Input: configuration (trusted).  Blocks: may look a name up (master).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

// What one `listen` says, before it is put beside others of the same address.
struct Request {
  Listen options;
  bool has_socket_options = false;  // nginx's "set": such options may be given once per address
};

bool number_option(Builder& b, const Directive& d, std::string_view word, std::string_view name,
                   bool is_size, int* out) {
  auto text = word.substr(name.size() + 1);
  auto value = is_size ? parse_size(text) : parse_number(text);
  bool is_zero_bad = name == "backlog";
  if (!value || *value > INT32_MAX || (is_zero_bad && *value == 0)) {
    b.fail(d, "invalid " + std::string(name) + " \"" + std::string(word) + "\"");
    return false;
  }
  *out = static_cast<int>(*value);
  return true;
}

// "on", "off" or "IDLE:INTERVAL:COUNT" with any part left out but not all.
void keepalive_option(Builder& b, const Directive& d, std::string_view text, Listen* out) {
  out->so_keepalive.set = true;
  if (text == "on" || text == "off") {
    out->so_keepalive.on = text == "on";
    return;
  }
  auto bad = [&] { b.fail(d, "invalid so_keepalive value: \"" + std::string(text) + "\""); };
  size_t first = text.find(':');
  size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos) return bad();
  std::string_view idle = text.substr(0, first),
                   interval = text.substr(first + 1, second - first - 1),
                   count = text.substr(second + 1);
  if (idle.empty() && interval.empty() && count.empty()) return bad();
  auto idle_s = idle.empty() ? Seconds(0) : parse_seconds(idle);
  auto interval_s = interval.empty() ? Seconds(0) : parse_seconds(interval);
  auto count_n = count.empty() ? 0 : parse_number(count);
  if (!idle_s || !interval_s || !count_n) return bad();
  out->so_keepalive.on = true;
  out->so_keepalive.idle = static_cast<int>(idle_s->count());
  out->so_keepalive.interval = static_cast<int>(interval_s->count());
  out->so_keepalive.count = static_cast<int>(*count_n);
}

bool flag_option(Builder& b, const Directive& d, std::string_view word, Request* out) {
  Listen& options = out->options;
  if (word == "default_server" || word == "default") {
    options.default_server_explicit = true;
  } else if (word == "bind") {
    options.bind = out->has_socket_options = true;
  } else if (word == "reuseport") {
    options.reuseport = options.bind = out->has_socket_options = true;
  } else if (word == "deferred") {
    options.deferred = options.bind = out->has_socket_options = true;
  } else if (word == "ssl") {
    options.ssl = true;
  } else if (word == "http2") {
    options.http2 = true;
    b.warn(
        d,
        "\"http2\" of listen is not supported by this version of Bulkhead: clients get HTTP/1.1");
  } else if (word == "quic") {
    options.quic = true;
  } else if (word == "proxy_protocol") {
    options.proxy_protocol = true;
    b.fail(d,
           "\"listen ... proxy_protocol\" is not supported by this version of Bulkhead: the "
           "client's address would be unknown");
  } else {
    return false;
  }
  return true;
}

void listen_option(Builder& b, const Directive& d, std::string_view word, Request* out) {
  Listen& options = out->options;
  if (flag_option(b, d, word, out)) return;
  bool is_bound = true;
  if (word.starts_with("backlog=")) {
    number_option(b, d, word, "backlog", false, &options.backlog);
  } else if (word.starts_with("rcvbuf=")) {
    number_option(b, d, word, "rcvbuf", true, &options.rcvbuf);
  } else if (word.starts_with("sndbuf=")) {
    number_option(b, d, word, "sndbuf", true, &options.sndbuf);
  } else if (word.starts_with("fastopen=")) {
    number_option(b, d, word, "fastopen", false, &options.fastopen);
  } else if (word.starts_with("ipv6only=")) {
    std::string_view value = word.substr(9);
    if (value != "on" && value != "off") {
      return b.fail(d, "invalid parameter \"" + std::string(word) + "\"");
    }
    options.ipv6only = value == "on";
  } else if (word.starts_with("so_keepalive=")) {
    keepalive_option(b, d, word.substr(13), &options);
  } else if (word.starts_with("accept_filter=")) {
    is_bound = false;
    b.warn_at(
        "accept filters \"" + std::string(word) + "\" are not supported on this platform, ignored",
        d.file, d.line, LogLevel::kEmerg);
  } else {
    return b.fail(d, "invalid parameter \"" + std::string(word) + "\"");
  }
  if (is_bound) options.bind = out->has_socket_options = true;
}

// Puts the options of `request` on an address that has `listen` already.
void merge_options(const Request& request, Listen* listen) {
  const Listen& given = request.options;
  listen->ssl |= given.ssl;
  listen->http2 |= given.http2;
  listen->quic |= given.quic;
  if (!request.has_socket_options) return;
  listen->reuseport = given.reuseport;
  listen->deferred = given.deferred;
  listen->bind = given.bind;
  listen->ipv6only = given.ipv6only;
  listen->backlog = given.backlog;
  listen->rcvbuf = given.rcvbuf;
  listen->sndbuf = given.sndbuf;
  listen->fastopen = given.fastopen;
  listen->so_keepalive = given.so_keepalive;
}

void add_address(Builder& b, const Directive& d, const Request& request, std::string sockaddr) {
  Scope& scope = b.scope();
  // A UDP address of the same number is another socket.
  std::string key = (request.options.quic ? "u" : "t") + sockaddr;
  auto [at, is_new] = b.listen_index.emplace(key, static_cast<uint32_t>(b.model().listens.size()));
  uint32_t index = at->second;
  if (is_new) {
    Listen& listen = b.model().listens.emplace_back(request.options);
    listen.text = sockaddr_text(sockaddr);
    listen.wildcard = is_wildcard(sockaddr);
    listen.sockaddr = std::move(sockaddr);
    listen.default_server = scope.server_index;
    if (request.has_socket_options) b.listens_with_options.insert(index);
  }
  Listen& listen = b.model().listens[index];
  if (!is_new) {
    if (listen.servers.back() == scope.server_index) {
      return b.fail(d, "a duplicate listen " + listen.text);
    }
    if (request.has_socket_options && !b.listens_with_options.insert(index).second) {
      return b.fail(d, "duplicate listen options for " + listen.text);
    }
    merge_options(request, &listen);
    if (request.options.default_server_explicit) {
      if (listen.default_server_explicit) {
        return b.fail(d, "a duplicate default server for " + listen.text);
      }
      listen.default_server_explicit = true;
      listen.default_server = scope.server_index;
    }
  }
  listen.servers.push_back(scope.server_index);
  scope.server->listens.push_back(index);
  if (request.options.ssl || request.options.quic) scope.has_ssl_listen = true;
}

}  // namespace

void set_listen(Builder& b, const Directive& d) {
  const std::string& text = d.args[0].text;
  auto address = parse_address(text, {.listen = true, .default_port = 80}, b.resolver());
  if (!address) {
    return b.fail(d, address.error().text + " in \"" + text + "\" of the \"listen\" directive");
  }
  Request request;
  for (size_t i = 1; i < d.args.size(); ++i) {
    listen_option(b, d, d.args[i].text, &request);
    if (b.failed()) return;
  }
  for (uint32_t port = address->port; port <= address->port_last; ++port) {
    for (const std::string& sockaddr : address->sockaddrs) {
      add_address(b, d, request, with_port(sockaddr, port));
      if (b.failed()) return;
    }
  }
}

}  // namespace bulkhead::config
