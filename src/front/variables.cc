#include "front/variables.h"

#include <charconv>

#include "front/builtin_values.h"
#include "front/phases.h"
#include "front/plan.h"
#include "http/ascii.h"

namespace bulkhead::front {

using config::RefKind;
using config::VarRef;

namespace {

// Header names and variable names meet in lower case with '_' for '-'.
char underscored(char c) { return c == '-' ? '_' : http::to_lower(c); }

bool same_underscored(std::string_view header, std::string_view name) {
  if (header.size() != name.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (underscored(header[i]) != underscored(name[i])) return false;
  }
  return true;
}

// All headers of that name in one text; nothing is copied when there is only one.
Value joined_headers(Exchange& ex, std::string_view name, std::string_view separator) {
  Value first;
  size_t count = 0, bytes = 0;
  for (const http::HeaderField& h : ex.request->headers()) {
    if (!same_underscored(ex.request->name(h), name)) continue;
    std::string_view value = ex.request->value(h);
    if (count++ == 0) first = {value, true};
    bytes += value.size() + separator.size();
  }
  if (count < 2) return first;
  char* at = ex.arena.allocate(bytes);
  char* next = at;
  for (const http::HeaderField& h : ex.request->headers()) {
    if (!same_underscored(ex.request->name(h), name)) continue;
    std::string_view value = ex.request->value(h);
    if (next != at) next = std::copy(separator.begin(), separator.end(), next);
    next = std::copy(value.begin(), value.end(), next);
  }
  return {{at, static_cast<size_t>(next - at)}, true};
}

Value header_variable(Exchange& ex, std::string_view name) {
  if (same_underscored(name, "cookie")) return joined_headers(ex, name, "; ");
  if (same_underscored(name, "x_forwarded_for")) return joined_headers(ex, name, ", ");
  return request_header(ex, name);
}

Value listed_header(const std::vector<ResponseHeader>& headers, std::string_view name) {
  for (const ResponseHeader& h : headers) {
    if (same_underscored(h.name, name)) return {h.value, true};
  }
  return {};
}

Value sent_header(Exchange& ex, std::string_view name) {
  const Response& r = ex.response;
  auto is = [name](std::string_view known) { return same_underscored(name, known); };
  if (is("content_type")) return {r.content_type, !r.content_type.empty()};
  if (is("content_length") && r.content_length >= 0) {
    return {number_text(ex, static_cast<uint64_t>(r.content_length)), true};
  }
  if (is("location") && !r.location.empty()) return {r.location, true};
  if (is("etag") && !r.etag.empty()) return {r.etag, true};
  if (is("last_modified") && !r.has_last_modified) {
    if (r.last_modified < 0) return {};
    char* at = ex.arena.allocate(http::kHttpDateSize);
    http::write_http_date(at, r.last_modified);
    return {{at, http::kHttpDateSize}, true};
  }
  if (is("connection")) return {ex.keepalive ? "keep-alive" : "close", true};
  if (is("transfer_encoding")) {
    return r.chunked ? Value{"chunked", true} : Value{};
  }
  return listed_header(r.headers, name);
}

Value request_cookie(Exchange& ex, std::string_view name) {
  for (const http::HeaderField& h : ex.request->headers()) {
    if (h.id != http::HeaderId::kCookie) continue;
    Value found = cookie(ex.request->value(h), name);
    if (found.found) return found;
  }
  return {};
}

Value upstream_cookie(Exchange& ex, std::string_view name) {
  for (const ResponseHeader& h : ex.upstream_headers) {
    if (!http::iequals(h.name, "set-cookie") || !http::istarts_with(h.value, name)) continue;
    std::string_view rest = h.value.substr(name.size());
    if (!rest.starts_with('=')) continue;
    return {rest.substr(1, rest.find(';') - 1), true};
  }
  return {};
}

const config::Template* find_wildcard(const Plan::MapPlan& map, std::string_view key) {
  for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.', dot + 1)) {
    auto it = map.leading.find(key.substr(dot + 1));
    if (it != map.leading.end()) return it->second;
  }
  for (size_t dot = key.rfind('.'); dot != std::string_view::npos && dot > 0;
       dot = key.rfind('.', dot - 1)) {
    auto it = map.trailing.find(key.substr(0, dot));
    if (it != map.trailing.end()) return it->second;
  }
  return nullptr;
}

const config::Template* find_in_map(Exchange& ex, const Plan::MapPlan& map, std::string_view key) {
  const config::MapDef& source = *map.source;
  std::string_view exact_key = key;
  if (source.hostnames && exact_key.ends_with('.')) exact_key.remove_suffix(1);
  char* lower = ex.arena.allocate(exact_key.size());
  for (size_t i = 0; i < exact_key.size(); ++i) lower[i] = http::to_lower(exact_key[i]);
  std::string_view low(lower, exact_key.size());
  if (auto it = map.exact.find(low); it != map.exact.end()) return it->second;
  if (source.hostnames) {
    if (const auto* value = find_wildcard(map, low)) return value;
  }
  if (!key.empty()) {
    for (const config::MapDef::Re& re : source.regexes) {
      config::Captures groups;
      if (re.regex->match(key, &groups) != config::MatchResult::kYes) continue;
      remember_match(ex, key, groups, re.named);
      return &re.value;
    }
  }
  return source.default_value ? &*source.default_value : nullptr;
}

Value map_value(Exchange& ex, uint32_t index) {
  const Plan::MapPlan& map = ex.plan->maps()[index];
  if (ex.map_done.size() < ex.plan->maps().size()) {
    ex.map_done.resize(ex.plan->maps().size());
    ex.map_values.resize(ex.plan->maps().size());
  }
  if (ex.map_done[index] && !map.source->is_volatile) return ex.map_values[index];
  // Marked first: a map that reads itself sees an empty value instead of recursing.
  ex.map_done[index] = true;
  ex.map_values[index] = {"", true};
  const config::Template* result = find_in_map(ex, map, evaluate(ex, map.source->source));
  Value value{result == nullptr ? std::string_view() : evaluate(ex, *result), true};
  ex.map_values[index] = value;
  return value;
}

// A variable that only `set` defines and that no `set` has reached is worth a warning, once.
Value user_variable(Exchange& ex, uint32_t slot) {
  if (slot >= ex.user_variables.size()) return {};
  Value& value = ex.user_variables[slot];
  if (!value.found && ex.plan->is_set_somewhere(slot)) {
    value = {"", true};
    if (ex.ambient->phases != nullptr) {
      const std::string& name = ex.plan->model().user_variables[slot];
      ex.ambient->phases->log_error(ex, config::LogLevel::kWarn,
                                    "using uninitialized \"" + name + "\" variable");
    }
  }
  return value;
}

Value capture(const Exchange& ex, uint32_t number) {
  const config::Captures& groups = ex.match.groups;
  if (number >= groups.count || number >= config::Captures::kMax) return {};
  size_t from = groups.at[2 * number], to = groups.at[2 * number + 1];
  if (from == std::string_view::npos || to > ex.match.subject.size() || from > to) return {};
  return {ex.match.subject.substr(from, to - from), true};
}

}  // namespace

Value value_of(Exchange& ex, const VarRef& ref) {
  switch (ref.kind) {
    case RefKind::kLiteral:
      return {ref.text, true};
    case RefKind::kBuiltin:
      return builtin_value(ex, static_cast<config::Var>(ref.index));
    case RefKind::kUser:
      return user_variable(ex, ref.index);
    case RefKind::kMap:
      return map_value(ex, ref.index);
    case RefKind::kCapture:
      return capture(ex, ref.index);
    case RefKind::kArg:
      return argument(ex.args, ref.text);
    case RefKind::kHttp:
      return header_variable(ex, ref.text);
    case RefKind::kSentHttp:
      return sent_header(ex, ref.text);
    case RefKind::kUpstreamHttp:
      return listed_header(ex.upstream_headers, ref.text);
    case RefKind::kCookie:
      return request_cookie(ex, ref.text);
    case RefKind::kUpstreamCookie:
      return upstream_cookie(ex, ref.text);
    case RefKind::kEmpty:
      return {};
  }
  return {};
}

std::string_view evaluate(Exchange& ex, const config::Template& text) {
  if (text.is_literal()) return text.literal();
  if (text.parts.size() == 1) return value_of(ex, text.parts[0]).text;
  constexpr size_t kPieces = 24;
  if (text.parts.size() > kPieces) {
    std::string joined;
    for (const VarRef& ref : text.parts) joined += value_of(ex, ref).text;
    return ex.arena.copy(joined);
  }
  std::string_view pieces[kPieces];
  size_t count = 0, bytes = 0;
  for (const VarRef& ref : text.parts) {
    pieces[count] = value_of(ex, ref).text;
    bytes += pieces[count++].size();
  }
  if (bytes == 0) return "";
  char* at = ex.arena.allocate(bytes);
  char* next = at;
  for (size_t i = 0; i < count; ++i) next = std::copy(pieces[i].begin(), pieces[i].end(), next);
  return {at, bytes};
}

Value request_header(const Exchange& ex, std::string_view name) {
  for (const http::HeaderField& h : ex.request->headers()) {
    if (h.name.size == name.size() && same_underscored(ex.request->name(h), name)) {
      return {ex.request->value(h), true};
    }
  }
  return {};
}

Value argument(std::string_view args, std::string_view name) {
  while (!args.empty()) {
    std::string_view pair = args.substr(0, args.find('&'));
    if (pair.size() > name.size() && pair[name.size()] == '=' && http::istarts_with(pair, name)) {
      return {pair.substr(name.size() + 1), true};
    }
    args.remove_prefix(std::min(pair.size() + 1, args.size()));
  }
  return {};
}

Value cookie(std::string_view header, std::string_view name) {
  auto skip_spaces = [&header] {
    while (header.starts_with(' ')) header.remove_prefix(1);
  };
  while (!header.empty()) {
    if (http::istarts_with(header, name)) {
      std::string_view after = header.substr(name.size());
      while (after.starts_with(' ')) after.remove_prefix(1);
      if (after.starts_with('=')) {
        after.remove_prefix(1);
        while (after.starts_with(' ')) after.remove_prefix(1);
        return {after.substr(0, after.find(';')), true};
      }
    }
    size_t end = header.find_first_of(";,");
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 1);
    skip_spaces();
  }
  return {};
}

std::string_view document_root(Exchange& ex) {
  const LocationPlan& location = *ex.location;
  return location.root_is_literal ? location.root : evaluate(ex, location.conf->root);
}

MappedPath path_of_uri(Exchange& ex, size_t spare) {
  const LocationPlan& location = *ex.location;
  std::string_view root = document_root(ex);
  std::string_view rest = ex.uri;
  if (location.conf->is_alias) {
    if (location.alias_cut == LocationPlan::kWholeUri) {
      if (!ex.add_uri_to_alias) rest = {};
    } else {
      rest.remove_prefix(std::min(location.alias_cut, rest.size()));
    }
  }
  size_t bytes = root.size() + rest.size();
  char* at = ex.arena.allocate(bytes + spare);
  std::copy(rest.begin(), rest.end(), std::copy(root.begin(), root.end(), at));
  return {{at, bytes}, root.size()};
}

bool realpath_is_known(Exchange& ex) {
  return ex.realpath_of.data() != nullptr && ex.realpath_of == document_root(ex);
}

void split_path_info(Exchange& ex) {
  if (ex.split_done) return;
  ex.split_done = true;
  ex.script_name = ex.uri;
  ex.path_info = {};
  const auto& regex = ex.conf().fastcgi.split_path_info;
  if (!regex) return;
  config::Captures groups;
  if (regex->match(ex.uri, &groups) != config::MatchResult::kYes) return;
  auto group = [&](size_t n) -> std::string_view {
    if (n >= groups.count || groups.at[2 * n] == std::string_view::npos) return {};
    return ex.uri.substr(groups.at[2 * n], groups.at[2 * n + 1] - groups.at[2 * n]);
  };
  ex.script_name = group(1);
  ex.path_info = group(2);
}

std::string_view fastcgi_script_name(Exchange& ex) {
  split_path_info(ex);
  std::string_view index = ex.conf().fastcgi.index;
  if (index.empty() || !ex.script_name.ends_with('/')) return ex.script_name;
  char* at = ex.arena.allocate(ex.script_name.size() + index.size());
  char* next = std::copy(ex.script_name.begin(), ex.script_name.end(), at);
  std::copy(index.begin(), index.end(), next);
  return {at, ex.script_name.size() + index.size()};
}

void remember_match(Exchange& ex, std::string_view subject, const config::Captures& groups,
                    const std::vector<std::pair<uint32_t, uint32_t>>& named) {
  ex.match.subject = subject;
  ex.match.groups.count = std::min(groups.count, config::Captures::kMax);
  std::copy(groups.at, groups.at + 2 * ex.match.groups.count, ex.match.groups.at);
  for (auto [group, slot] : named) {
    Value value = capture(ex, group);
    if (slot >= ex.user_variables.size()) ex.user_variables.resize(slot + 1);
    ex.user_variables[slot] = {value.text, true};
  }
}

std::string_view number_text(Exchange& ex, uint64_t value) {
  char* at = ex.arena.allocate(20);
  char* end = std::to_chars(at, at + 20, value).ptr;
  ex.arena.shrink_last(end);
  return {at, static_cast<size_t>(end - at)};
}

std::string_view seconds_text(Exchange& ex, int64_t milliseconds) {
  if (milliseconds < 0) milliseconds = 0;
  char* at = ex.arena.allocate(24);
  char* end = std::to_chars(at, at + 20, milliseconds / 1000).ptr;
  auto rest = static_cast<int>(milliseconds % 1000);
  *end++ = '.';
  *end++ = static_cast<char>('0' + rest / 100);
  *end++ = static_cast<char>('0' + rest / 10 % 10);
  *end++ = static_cast<char>('0' + rest % 10);
  ex.arena.shrink_last(end);
  return {at, static_cast<size_t>(end - at)};
}

}  // namespace bulkhead::front
