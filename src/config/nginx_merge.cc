// The second pass: from http to servers, locations and ifs, each starting from the outer one's.
//
// Runs in: master, front.  Input: configuration (trusted).
#include <algorithm>

#include "config/nginx_builder.h"

namespace bulkhead::config {
namespace {

constexpr std::string_view kCharsetTypes[] = {
    "text/html",          "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript",
    "application/rss+xml"};
constexpr std::string_view kHiddenHeaders[] = {"status",
                                               "x-accel-expires",
                                               "x-accel-redirect",
                                               "x-accel-limit-rate",
                                               "x-accel-buffering",
                                               "x-accel-charset"};

std::shared_ptr<const MimeTypes> make_types(
    std::vector<std::pair<std::string, std::string>> by_extension) {
  auto out = std::make_shared<MimeTypes>();
  std::sort(by_extension.begin(), by_extension.end());
  out->by_extension = std::move(by_extension);
  return out;
}

// Rules that depend on who asks; `deny all` alone does not.
bool depends_on_address(const List<AccessRule>& rules) {
  for (const AccessRule& rule : rules) {
    if (rule.kind != AccessRule::Kind::kAll) return true;
  }
  return false;
}

using Names = std::optional<std::vector<std::string>>;

List<std::string> hidden_headers(const Names& hide, const Names& pass) {
  std::vector<std::string> out;
  auto add = [&](std::string name) {
    bool is_passed = pass && std::find(pass->begin(), pass->end(), name) != pass->end();
    bool is_known = std::find(out.begin(), out.end(), name) != out.end();
    if (!is_passed && !is_known) out.push_back(std::move(name));
  };
  for (std::string_view name : kHiddenHeaders) add(std::string(name));
  if (hide) {
    for (const std::string& name : *hide) add(name);
  }
  return out;
}

}  // namespace

// What an outer block hands down.  Sizes that nginx derives from others stay 0 here until a
// location is finished.
struct Merger::Inherited {
  LocConf conf;
  Names hide, pass;
  bool has_logs = false;  // some level said access_log
  bool has_real_ip = false;
  std::string handler;  // reason of a missing content handler; for `if` only
  std::vector<std::pair<std::string, std::string>> protections;
};

void Merger::apply_logs(Scope& scope, Inherited* now) {
  LocSettings& own = scope.loc;
  if (!own.error_logs.empty()) now->conf.error_logs = std::move(own.error_logs);
  if (own.access_log_off || !own.access_logs.empty()) {
    now->has_logs = true;
    now->conf.access_logs.clear();
    if (!own.access_log_off) now->conf.access_logs = std::move(own.access_logs);
  } else if (scope.context == kServer && !now->has_logs) {
    now->has_logs = true;
    AccessLog log;
    log.file = b_.log_file(b_.options().default_access_log);
    now->conf.access_logs.push_back(std::move(log));
  }
}

void Merger::apply_types(Scope& scope, LocConf* conf) {
  if (scope.loc.has_types) conf->types = make_types(std::move(scope.loc.types));
  if (scope.loc.charset_types.empty()) return;
  std::vector<std::string> types{"text/html"};
  for (std::string& type : scope.loc.charset_types) {
    if (std::find(types.begin(), types.end(), type) == types.end()) {
      types.push_back(std::move(type));
    }
  }
  conf->charset_types = std::move(types);
}

void Merger::apply_own(Scope& scope, Inherited* now) {
  LocSettings& own = scope.loc;
  LocConf& conf = now->conf;
  for (const auto& change : own.apply) change(conf);
  if (!own.error_pages.empty()) conf.error_pages = std::move(own.error_pages);
  if (!own.add_headers.empty()) conf.add_headers = std::move(own.add_headers);
  if (!own.add_trailers.empty()) conf.add_trailers = std::move(own.add_trailers);
  if (!own.access_rules.empty()) conf.access_rules = std::move(own.access_rules);
  if (!own.index.empty()) conf.index = std::move(own.index);
  conf.try_files = std::move(own.try_files);  // never inherited
  now->has_real_ip |= own.has_real_ip;
  apply_logs(scope, now);
  apply_types(scope, &conf);
  apply_fastcgi(scope, now);
  decide_unsupported(scope, now);
}

// The upstream a literal address names; makes one for an address of its own.
uint32_t Merger::upstream_of(const Scope& scope) {
  const std::string& text = *scope.loc.pass_address;
  auto fail = [&](const std::string& why) {
    b_.fail_at(why, scope.loc.pass_file, scope.loc.pass_line);
    return kNone;
  };
  if (auto known = implicit_.find(text); known != implicit_.end()) return known->second;
  if (auto named = b_.upstream_index.find(to_lower(text)); named != b_.upstream_index.end()) {
    return named->second;
  }
  auto address = parse_address(text, {.resolve = false}, b_.resolver());
  if (!address) return fail(address.error().text + " in upstream \"" + text + "\"");
  bool is_unix = address->host.starts_with("unix:");
  if (!is_unix && address->port == 0) return fail("no port in upstream \"" + text + "\"");
  if (b_.upstream_index.contains(to_lower(address->host))) {
    return fail("upstream \"" + address->host + "\" may not have port " +
                std::to_string(address->port));
  }
  auto resolved = parse_address(text, {}, b_.resolver());
  if (!resolved) {
    return fail(resolved.error().text + " in upstream \"" + address->host + "\"");
  }
  auto& upstreams = b_.model().upstreams;
  Upstream upstream;
  upstream.name = text;
  upstream.implicit = true;
  upstream.servers.emplace_back().address = text;
  upstream.sockaddrs.push_back(std::move(resolved->sockaddrs));
  auto index = static_cast<uint32_t>(upstreams.size());
  upstreams.push_back(std::move(upstream));
  implicit_.emplace(text, index);
  return index;
}

SharedParam Merger::param_of(const Directive& d) {
  const bool if_not_empty = d.args.size() == 3;
  std::string key = d.args[0].text + '\0' + d.args[1].text;
  if (if_not_empty) key += '\0';
  SharedParam& known = params_[std::move(key)];
  if (!known) {
    known = std::make_shared<FastcgiParam>(
        FastcgiParam{d.args[0].text, b_.compile(d, d.args[1].text), if_not_empty});
  }
  return known;
}

void Merger::apply_fastcgi(Scope& scope, Inherited* now) {
  LocSettings& own = scope.loc;
  FastcgiConf& conf = now->conf.fastcgi;
  if (!own.fastcgi_params.empty()) {
    std::vector<SharedParam> params;
    params.reserve(own.fastcgi_params.size());
    for (const Directive* d : own.fastcgi_params) params.push_back(param_of(*d));
    conf.params = std::move(params);
  }
  if (!own.catch_stderr.empty()) conf.catch_stderr = std::move(own.catch_stderr);
  if (own.hide_headers || own.pass_headers) {
    if (own.hide_headers) now->hide = std::move(own.hide_headers);
    if (own.pass_headers) now->pass = std::move(own.pass_headers);
    conf.hide_headers = hidden_headers(now->hide, now->pass);
  }
  if (own.pass_address) {
    conf.pass.emplace();
    conf.pass->upstream = upstream_of(scope);
    conf.pass->address.parts.push_back({RefKind::kLiteral, 0, *own.pass_address});
  } else if (own.pass_template) {
    conf.pass.emplace();
    conf.pass->address = std::move(*own.pass_template);
  }
}

// Whether this location can be answered at all (see LocConf::unsupported).
void Merger::decide_unsupported(Scope& scope, Inherited* now) {
  if (!scope.loc.unsupported_handler.empty()) now->handler = scope.loc.unsupported_handler;
  for (auto& [name, reason] : scope.loc.protections) {
    auto same = [&, &key = name](const auto& item) { return item.first == key; };
    std::erase_if(now->protections, same);
    if (!reason.empty()) now->protections.emplace_back(name, reason);
  }
  std::string reason = now->handler;
  if (!now->protections.empty()) reason = now->protections.front().second;
  if (reason.empty() && now->has_real_ip && depends_on_address(now->conf.access_rules)) {
    reason =
        "\"set_real_ip_from\" is not supported by this version of Bulkhead: allow and deny would "
        "judge the proxy's address, not the client's";
    b_.warn_at(reason, scope.file, scope.line);
  }
  now->conf.unsupported = std::move(reason);
}

void Merger::check_buffers(const Scope& scope, const FastcgiConf& conf) {
  size_t largest = std::max(conf.buffer_size, conf.buffers_size);
  const char* wrong = nullptr;
  if (conf.buffers_count < 2) {
    wrong = "there must be at least 2 \"fastcgi_buffers\"";
  } else if (conf.busy_buffers_size < largest) {
    wrong =
        "\"fastcgi_busy_buffers_size\" must be equal to or greater than the maximum of the value "
        "of \"fastcgi_buffer_size\" and one of the \"fastcgi_buffers\"";
  } else if (conf.busy_buffers_size > (conf.buffers_count - 1) * conf.buffers_size) {
    wrong =
        "\"fastcgi_busy_buffers_size\" must be less than the size of all \"fastcgi_buffers\" minus "
        "one buffer";
  } else if (conf.temp_file_write_size < largest) {
    wrong =
        "\"fastcgi_temp_file_write_size\" must be equal to or greater than the maximum of the "
        "value of \"fastcgi_buffer_size\" and one of the \"fastcgi_buffers\"";
  } else if (conf.max_temp_file_size != 0 && conf.max_temp_file_size < largest) {
    wrong =
        "\"fastcgi_max_temp_file_size\" must be equal to zero to disable temporary files usage or "
        "must be equal to or greater than the maximum of the value of \"fastcgi_buffer_size\" and "
        "one of the \"fastcgi_buffers\"";
  }
  const Scope& http = *b_.http_scope;
  if (wrong != nullptr) b_.fail_at(wrong, http.file, http.end_line);
}

void Merger::merge_location(Scope& scope, const Inherited& outer) {
  if (b_.failed()) return;
  Inherited now = outer;
  Location& location = *scope.location;
  bool is_if = location.kind == Location::Kind::kIf;
  now.conf.root_from_server = true;
  if (!is_if) {
    // Content handlers belong to one location; only `if` keeps the one around it.
    now.conf.fastcgi.pass.reset();
    now.conf.stub_status = now.conf.empty_gif = now.conf.metrics = false;
    now.handler.clear();
  }
  apply_own(scope, &now);
  for (auto& child : scope.children) {
    if (child->location != nullptr) merge_location(*child, now);
  }
  check_duplicates(scope);
  bool has_handler = now.conf.fastcgi.pass || !now.handler.empty();
  bool is_prefix =
      location.kind == Location::Kind::kPrefix || location.kind == Location::Kind::kPrefixNoRegex;
  location.auto_redirect = is_prefix && has_handler && location.text.ends_with('/');
  FastcgiConf& fastcgi = now.conf.fastcgi;
  size_t twice = 2 * std::max(fastcgi.buffer_size, fastcgi.buffers_size);
  if (fastcgi.busy_buffers_size == 0) fastcgi.busy_buffers_size = twice;
  if (fastcgi.temp_file_write_size == 0) fastcgi.temp_file_write_size = twice;
  check_buffers(scope, fastcgi);
  location.conf = std::move(now.conf);
}

void Merger::check_duplicates(const Scope& scope) {
  std::unordered_set<std::string_view> exact, inclusive;
  for (const auto& child : scope.location->children) {
    bool is_exact = child->kind == Location::Kind::kExact;
    bool is_inclusive =
        child->kind == Location::Kind::kPrefix || child->kind == Location::Kind::kPrefixNoRegex;
    if (!is_exact && !is_inclusive) continue;
    if (!(is_exact ? exact : inclusive).insert(child->text).second) {
      return b_.fail_at("duplicate location \"" + child->text + "\"", child->file, child->line);
    }
  }
}

void Merger::merge_server(Scope& scope, const Inherited& outer) {
  Server& server = *scope.server;
  for (const auto& change : b_.http_scope->apply_server) change(server);
  for (const auto& change : scope.apply_server) change(server);
  if (server.names.empty()) {
    server.names.push_back({ServerName::Kind::kExact, {}, nullptr, {}});
  }
  merge_location(scope, outer);
}

void Merger::merge_all() {
  for (const auto& [name, place] : b_.upstreams_without_servers) {
    b_.fail_at("no servers in upstream \"" + name + "\"", place.first, place.second);
  }
  Inherited base;
  LocConf& conf = base.conf;
  conf.root = literal_template(b_.full_path("html"));
  conf.index.push_back(literal_template("index.html"));
  conf.types = make_types({{"gif", "image/gif"}, {"html", "text/html"}, {"jpg", "image/jpeg"}});
  for (std::string_view type : kCharsetTypes) conf.charset_types.push_back(std::string(type));
  for (const ErrorLog& log : b_.model().error_logs) conf.error_logs.push_back(log);
  conf.fastcgi.hide_headers = hidden_headers({}, {});
  conf.fastcgi.busy_buffers_size = conf.fastcgi.temp_file_write_size = 0;
  if (b_.model().servers.empty()) b_.http_scope->loc.fastcgi_params.clear();
  apply_own(*b_.http_scope, &base);
  for (auto& child : b_.http_scope->children) {
    if (b_.failed()) return;
    if (child->context == kServer) merge_server(*child, base);
  }
  if (b_.failed()) return;
  size_t twice = 2 * std::max(conf.fastcgi.buffer_size, conf.fastcgi.buffers_size);
  if (conf.fastcgi.busy_buffers_size == 0) conf.fastcgi.busy_buffers_size = twice;
  if (conf.fastcgi.temp_file_write_size == 0) conf.fastcgi.temp_file_write_size = twice;
  b_.model().http_defaults = std::make_unique<LocConf>(std::move(conf));
  check_tls();
  check_names();
  pair_wildcards();
  check_connections();
}

}  // namespace bulkhead::config
