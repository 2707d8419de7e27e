// server, server_name, location, limit_except.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

void add_server_name(Builder& b, const Directive& d, std::string text) {
  Server& server = *b.scope().server;
  bool is_invalid = (text.starts_with('*') && (text.size() < 3 || text[1] != '.')) ||
                    (text.starts_with('.') && text.size() < 2);
  if (is_invalid) return b.fail(d, "server name \"" + text + "\" is invalid");
  if (text.find('/') != std::string::npos) {
    b.warn(d, "server name \"" + text + "\" has suspicious symbols");
  }
  if (server.names.empty()) {
    server.primary_name = text.starts_with('~') ? text : to_lower(text);
    if (server.primary_name.starts_with('.')) server.primary_name.erase(0, 1);
  }
  ServerName name{ServerName::Kind::kExact, {}, nullptr, {}};
  if (text.starts_with('~')) {
    if (text.size() == 1) return b.fail(d, "empty regex in server name \"" + text + "\"");
    name.kind = ServerName::Kind::kRegex;
    name.text = text.substr(1);
    // Host names arrive in lower case; a pattern in capitals is meant for them too.
    bool has_capital = name.text.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos;
    name.regex = b.compile_regex(
        d, name.text, has_capital ? RegexCase::kInsensitive : RegexCase::kSensitive, &name.named);
  } else {
    name.text = to_lower(text);
    if (name.text.starts_with("*.") || name.text.starts_with('.')) {
      name.kind = ServerName::Kind::kLeadingWildcard;
    } else if (name.text.ends_with(".*") && name.text.size() > 2) {
      name.kind = ServerName::Kind::kTrailingWildcard;
    }
  }
  server.names.push_back(std::move(name));
}

// The modifier and text of `location [MODIFIER] TEXT`, also written together ("=/x").
bool parse_location(Builder& b, const Directive& d, Location* out) {
  using Kind = Location::Kind;
  std::string modifier, text = d.args.back().text;
  if (d.args.size() == 2) {
    modifier = d.args[0].text;
    if (modifier != "=" && modifier != "^~" && modifier != "~" && modifier != "~*") {
      b.fail(d, "invalid location modifier \"" + modifier + "\"");
      return false;
    }
  } else {
    for (std::string_view known : {"=", "^~", "~*", "~"}) {
      if (!text.starts_with(known)) continue;
      modifier = known;
      text.erase(0, known.size());
      break;
    }
  }
  out->text = text;
  out->kind = modifier == "="                               ? Kind::kExact
              : modifier == "^~"                            ? Kind::kPrefixNoRegex
              : modifier.starts_with('~')                   ? Kind::kRegex
              : text.starts_with('@') && d.args.size() == 1 ? Kind::kNamed
                                                            : Kind::kPrefix;
  if (out->kind == Kind::kRegex) {
    auto how = modifier == "~*" ? RegexCase::kInsensitive : RegexCase::kSensitive;
    out->regex = b.compile_regex(d, text, how, &out->named);
  }
  return !b.failed();
}

bool check_nesting(Builder& b, const Directive& d, const Location& inner, const Location& outer) {
  if (outer.kind == Location::Kind::kExact || outer.kind == Location::Kind::kNamed) {
    b.fail(d, "location \"" + inner.text + "\" cannot be inside the " +
                  (outer.kind == Location::Kind::kExact ? "exact" : "named") + " location \"" +
                  outer.text + "\"");
  } else if (inner.kind == Location::Kind::kNamed) {
    b.fail(d, "named location \"" + inner.text + "\" can be on the server level only");
  } else if (inner.kind != Location::Kind::kRegex && !inner.text.starts_with(outer.text)) {
    b.fail(d, "location \"" + inner.text + "\" is outside location \"" + outer.text + "\"");
  }
  return !b.failed();
}

}  // namespace

void set_server(Builder& b, const Directive& d) {
  auto owned = std::make_unique<Server>();
  Server& server = *owned;
  Scope* scope = b.open_scope(kServer, d);
  scope->server = &server;
  scope->server_index = static_cast<uint32_t>(b.model().servers.size());
  server.file = d.file;
  server.line = d.line;
  server.root = std::make_unique<Location>();
  server.root->kind = Location::Kind::kServer;
  server.root->server = scope->server_index;
  server.root->file = d.file;
  server.root->line = d.line;
  scope->location = server.root.get();
  b.model().servers.push_back(std::move(owned));
  b.walk(d.children, scope);
  if (b.failed() || !server.listens.empty()) return;
  // The default is `listen *:80`, or 8000 for an ordinary user.
  Directive listen;
  listen.name = "listen";
  listen.file = d.file;
  listen.line = d.end_line;
  listen.args.push_back({"*:" + std::to_string(b.ast().default_port), false});
  b.walk({listen}, scope);
}

void set_server_name(Builder& b, const Directive& d) {
  for (const Word& word : d.args) {
    add_server_name(b, d, word.text == "$hostname" ? b.ast().hostname : word.text);
    if (b.failed()) return;
  }
}

void set_location(Builder& b, const Directive& d) {
  Location& outer = *b.scope().location;
  auto owned = std::make_unique<Location>();
  Location& location = *owned;
  location.server = b.scope().server_index;
  location.parent = &outer;
  location.file = d.file;
  location.line = d.line;
  if (!parse_location(b, d, &location)) return;
  if (outer.kind != Location::Kind::kServer && !check_nesting(b, d, location, outer)) return;
  Scope* scope = b.open_scope(kLocation, d);
  scope->location = &location;
  outer.children.push_back(std::move(owned));
  b.walk(d.children, scope);
}

void set_limit_except(Builder& b, const Directive& d) {
  static constexpr std::string_view kMethods[] = {
      "GET",   "HEAD",    "POST", "PUT",    "DELETE", "MKCOL",    "COPY",      "MOVE",
      "TRACE", "OPTIONS", "LOCK", "UNLOCK", "PATCH",  "PROPFIND", "PROPPATCH", "CONNECT"};
  for (const Word& word : d.args) {
    bool is_known = false;
    for (std::string_view method : kMethods) is_known |= to_lower(method) == to_lower(word.text);
    if (!is_known) return b.fail(d, "invalid method \"" + word.text + "\"");
  }
  protect(b, d.name,
          "\"limit_except\" is not supported by this version of Bulkhead: requests by method "
          "would not be limited");
  // The block is read for its errors; what it says has no place to go.
  auto unused = std::make_unique<Location>();
  unused->kind = Location::Kind::kIf;
  unused->server = b.scope().server_index;
  Scope* outer = &b.scope();
  Scope* scope = b.open_scope(kLimitExcept, d);
  scope->location = unused.get();
  b.walk(d.children, scope);
  outer->children.pop_back();
}

}  // namespace bulkhead::config
