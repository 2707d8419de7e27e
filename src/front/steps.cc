// The ordered steps of a request up to its content: server, location, rewriting, access.
//
// Runs in: front.  Input: request values (hostile), Plan (trusted).
// Ref: nginx's phases: server rewrite, find config, rewrite, post rewrite, access, precontent,
// content.
#include "front/steps.h"

#include <cstring>

#include "front/variables.h"
#include "http/ascii.h"
#include "http/uri.h"

namespace bulkhead::front {

using config::LogLevel;

namespace {

using Step = Next (Steps::*)(Exchange&);

// The life of a request, in order.
constexpr Step kSteps[] = {
    &Steps::server_rewrite,    // set, if, rewrite, return of the server block
    &Steps::find_location,     // also: internal, body too large, 301 to add a slash
    &Steps::learn_realpath,    // $realpath_root, where something reads it
    &Steps::location_rewrite,  // the same statements of the location; `if` changes settings
    &Steps::after_rewrite,     // back to find_location when the uri changed
    &Steps::access,            // allow, deny
    &Steps::learn_realpath,    // an `if` or `set` may have changed the root
    &Steps::try_files,
    &Steps::content,  // application, index, autoindex, file
};
enum StepIndex : uint32_t { kServerRewrite, kFindLocation, kLearnRealpath };

bool mask_matches(const config::AccessRule& rule, const unsigned char* address, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if ((address[i] & rule.mask[i]) != (rule.address[i] & rule.mask[i])) return false;
  }
  return true;
}

bool rule_applies(const config::AccessRule& rule, const ConnectionFacts& c) {
  using Kind = config::AccessRule::Kind;
  const auto* address = reinterpret_cast<const unsigned char*>(c.peer_binary.data());
  static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  switch (rule.kind) {
    case Kind::kAll:
      return true;
    case Kind::kUnix:
      return c.peer_is_unix;
    case Kind::kInet4:
      if (c.peer_is_unix) return false;
      if (c.peer_binary.size() == 16 && memcmp(address, kMapped, 12) == 0) {
        return mask_matches(rule, address + 12, 4);
      }
      return c.peer_binary.size() == 4 && mask_matches(rule, address, 4);
    case Kind::kInet6:
      return !c.peer_is_unix && c.peer_binary.size() == 16 && mask_matches(rule, address, 16);
  }
  return false;
}

}  // namespace

Steps::Steps(Ambient& ambient, Files& files, Output& output)
    : ambient_(ambient), files_(files), output_(output) {
  if (ambient_.times == nullptr) ambient_.times = &times_;
}

void Steps::run(Exchange& ex) {
  // A step that moves on leaves its successor in `step`; Suspension is gone once Output has it.
  for (;;) {
    uint32_t current = ex.waiting->step;
    ex.waiting->step = current + 1;
    Next next = (this->*kSteps[current])(ex);
    if (next == Next::kOn) continue;
    if (next == Next::kWait) ex.waiting->step = current;
    return;
  }
}

void Steps::prepare(Exchange& ex, Phases& phases, Head head) {
  ambient_.times->update(ambient_.loop->wall_seconds());
  ex.ambient = &ambient_;
  if (!ex.waiting) ex.waiting = std::make_unique<Suspension>(phases, ex);
  ex.waiting->clear();
  const http::RequestParser& request = *ex.request;
  ex.method = request.method();
  ex.method_name = request.method_text();
  ex.uri = request.path();
  ex.args = request.args();
  ex.keepalive = request.wants_keep_alive();
  std::string_view target = request.request_uri();
  std::string_view path = target.substr(0, target.find('?'));
  ex.escapes_captures = request.is_complex_uri() && path.find('%') != std::string_view::npos;
  ex.escapes_captures |= path.find('+') != std::string_view::npos;
  if (ex.user_variables.size() < ex.plan->model().user_variables.size()) {
    ex.user_variables.resize(ex.plan->model().user_variables.size());
  }
  const ServerNames& names = ex.plan->names(ex.connection->listen);
  config::Captures groups;
  ServerMatch match{names.default_server(), nullptr};
  if (head == Head::kValid || !request.host().empty()) match = names.find(request.host(), &groups);
  ex.server = &ex.plan->server(match.server);
  if (match.regex != nullptr) remember_match(ex, request.host(), groups, match.regex->named);
  enter_location(ex, *ex.server->root);
}

Next Steps::server_rewrite(Exchange& ex) {
  const auto& ops = ex.server->source->root->ops;
  if (ops.empty()) return Next::kOn;
  if (ex.server->root->needs_realpath && !resolve_root(ex)) return Next::kWait;
  return rewritten(ex, run_rewrite(ex, ops, RewriteScope::kServer, *ex.waiting, *this));
}

Next Steps::find_location(Exchange& ex) {
  ex.uri_changed = false;
  const LocationPlan* found = ex.server->root.get();
  const LocationPlan* matched = nullptr;
  config::Captures groups;
  Found how = found->children.find(ex.uri, &found, &groups, &matched);
  if (matched != nullptr) remember_match(ex, ex.uri, groups, matched->source->named);
  const config::LocConf& conf = *found->conf;
  if (conf.internal && !ex.internal) return fail(ex, 404);
  enter_location(ex, *found);
  const http::RequestParser& request = *ex.request;
  if (ex.error_status == 0 && request.has_content_length() && conf.client_max_body_size != 0 &&
      request.content_length() > conf.client_max_body_size) {
    log(ex, LogLevel::kError,
        "client intended to send too large body: " + std::to_string(request.content_length()) +
            " bytes",
        0);
    return fail(ex, 413);
  }
  if (!conf.unsupported.empty() && ex.error_status != 503) {
    log(ex, LogLevel::kError, conf.unsupported, 0);
    return fail(ex, 503);
  }
  if (how != Found::kAddSlash) return Next::kOn;
  std::string target;
  http::append_escaped(target, found->source->text, http::Escape::kUri);
  if (!ex.args.empty()) {
    target += '?';
    target += ex.args;
  }
  ex.response.location = ex.arena.copy(target);
  return fail(ex, 301);
}

Next Steps::location_rewrite(Exchange& ex) {
  // While an `if` waits for a file, ex.location may be the block entered before.
  if (ex.waiting->rewrite.empty() && ex.location->source->ops.empty()) return Next::kOn;
  if (ex.location == ex.server->root.get()) return Next::kOn;
  return rewritten(
      ex, run_rewrite(ex, ex.location->source->ops, RewriteScope::kLocation, *ex.waiting, *this));
}

Next Steps::rewritten(Exchange& ex, const RewriteEnd& end) {
  switch (end.how) {
    case RewriteEnd::How::kOn:
      return Next::kOn;
    case RewriteEnd::How::kWait:
      return Next::kWait;
    case RewriteEnd::How::kStatus:
      return fail(ex, end.status);
    case RewriteEnd::How::kAnswer:
      return answer_text(ex, end.status, "", end.text);
  }
  return Next::kOver;
}

Next Steps::after_rewrite(Exchange& ex) {
  if (!ex.uri_changed) return Next::kOn;
  if (--ex.uri_changes_left == 0) {
    log(ex, LogLevel::kError,
        "rewrite or internal redirection cycle while processing \"" + std::string(ex.uri) + "\"",
        0);
    return fail(ex, 500);
  }
  ex.waiting->step = kFindLocation;
  ex.location = ex.server->root.get();
  return Next::kOn;
}

Next Steps::access(Exchange& ex) {
  for (const config::AccessRule& rule : ex.conf().access_rules) {
    if (!rule_applies(rule, *ex.connection)) continue;
    if (rule.allow) break;
    log(ex, LogLevel::kError, "access forbidden by rule", 0);
    return fail(ex, 403);
  }
  return Next::kOn;
}

void Steps::enter_location(Exchange& ex, const LocationPlan& plan) {
  ex.location = &plan;
  ex.handler = static_cast<uint8_t>(plan.handler);
  limit_keepalive(ex);
}

void Steps::enter_if(Exchange& ex, const LocationPlan& plan) {
  ex.location = &plan;
  // An `if` without a handler of its own keeps the location's.
  if (plan.handler != Handler::kStatic) ex.handler = static_cast<uint8_t>(plan.handler);
  limit_keepalive(ex);
}

void Steps::limit_keepalive(Exchange& ex) {
  if (!ex.keepalive) return;
  const config::LocConf& conf = ex.conf();
  if (conf.keepalive_timeout.count() == 0 || ex.connection->requests >= conf.keepalive_requests ||
      ambient_.loop->now() - ex.connection->started > conf.keepalive_time) {
    ex.keepalive = false;
  } else if (conf.keepalive_disable_msie6 && ex.method == http::Method::kPost &&
             http::ifind(ex.request->find_value(http::HeaderId::kUserAgent), "MSIE 6.") !=
                 std::string_view::npos) {
    ex.keepalive = false;
  }
}

Next Steps::internal_redirect(Exchange& ex, std::string_view uri, std::string_view args) {
  if (--ex.uri_changes_left == 0) {
    log(ex, LogLevel::kError,
        "rewrite or internal redirection cycle while internally redirecting to \"" +
            std::string(uri) + "\"",
        0);
    return fail(ex, 500);
  }
  ex.uri = uri;
  ex.args = args;
  ex.internal = true;
  ex.unparsed_uri_is_valid = ex.add_uri_to_alias = ex.split_done = false;
  ex.location_is_valid = true;
  ex.params_ready = false;
  ex.waiting->clear();
  ex.waiting->step = kServerRewrite;
  enter_location(ex, *ex.server->root);
  return Next::kOn;
}

Next Steps::named_location(Exchange& ex, std::string_view name) {
  bool cycle = --ex.uri_changes_left == 0;
  auto it = ex.server->named.find(name);
  if (!cycle && it != ex.server->named.end() && !ex.uri.empty()) {
    ex.internal = true;
    ex.uri_changed = ex.split_done = ex.add_uri_to_alias = false;
    ex.params_ready = false;
    ex.waiting->clear();
    ex.waiting->step = kLearnRealpath;
    enter_location(ex, *it->second);
    return Next::kOn;
  }
  std::string quoted = "\"" + std::string(name) + "\"";
  if (cycle) {
    log(ex, LogLevel::kError,
        "rewrite or internal redirection cycle while redirect to named location " + quoted, 0);
  } else if (ex.uri.empty()) {
    log(ex, LogLevel::kError, "empty URI in redirect to named location " + quoted, 0);
  } else {
    log(ex, LogLevel::kError, "could not find named location " + quoted, 0);
  }
  return fail(ex, 500);
}

Next Steps::learn_realpath(Exchange& ex) {
  return ex.location->needs_realpath && !resolve_root(ex) ? Next::kWait : Next::kOn;
}

bool Steps::resolve_root(Exchange& ex) {
  if (realpath_is_known(ex)) return true;
  std::string_view root = document_root(ex);
  line_.assign(root);
  line_.append(reinterpret_cast<const char*>(&ex.server->opener), sizeof ex.server->opener);
  if (ex.waiting->take_realpath()) {
    if (ex.realpath_root.empty()) {
      log(ex, LogLevel::kCrit, "realpath() \"" + std::string(root) + "\" failed", ENOENT);
    } else {
      if (realpaths_.size() >= kRealpathsMax) realpaths_.clear();
      realpaths_[line_] = {std::string(ex.realpath_root), ambient_.loop->now() + kRealpathValid};
    }
    ex.realpath_of = root;
    return true;
  }
  auto it = realpaths_.find(line_);
  if (it != realpaths_.end() && it->second.until > ambient_.loop->now()) {
    ex.realpath_root = ex.arena.copy(it->second.path);
    ex.realpath_of = root;
    return true;
  }
  files_.realpath(query(ex, root), *ex.waiting);
  return false;
}

FileQuery Steps::query(Exchange& ex, std::string_view path) {
  FileQuery q;
  q.site = ex.server->opener;
  q.path = path;
  q.rule = ex.location->symlinks;
  if (q.rule == ipc::SymlinkRule::kOwned) return q;
  std::string_view from = evaluate(ex, ex.conf().disable_symlinks_from);
  if (from.ends_with('/')) from.remove_suffix(1);
  if (from.empty() || !path.starts_with(from)) return q;
  if (path.size() == from.size()) {
    q.rule = ipc::SymlinkRule::kOwned;
  } else if (path[from.size()] == '/') {
    q.from_size = static_cast<uint16_t>(from.size());
  }
  return q;
}

FileRef Steps::ask(Exchange& ex, std::string_view path) {
  if (FileRef answer = ex.waiting->take_file()) return answer;
  if (path.size() > ipc::kPathMax || path.find('\0') != std::string_view::npos) {
    static const FileRef too_long = [] {
      auto file = std::make_shared<OpenFile>();
      file->error = ENAMETOOLONG;
      return file;
    }();
    return too_long;
  }
  return files_.open(query(ex, path), *ex.waiting);
}

FileRef Steps::test_file(Exchange& ex, std::string_view path) { return ask(ex, path); }

}  // namespace bulkhead::front
