#include "config/nginx_table.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

struct Table {
  std::vector<DirectiveRow> rows;
  std::unordered_map<std::string_view, std::span<const DirectiveRow>> by_name;
};

const Table& table() {
  static const Table& made = *[] {
    auto* out = new Table;
    for (auto part : {main_rows(), http_rows(), location_rows(), fastcgi_rows(), missing_rows(),
                      gateway_rows(), tls_rows(), mail_rows(), stream_rows()}) {
      out->rows.insert(out->rows.end(), part.begin(), part.end());
    }
    BH_CHECK(out->rows.size() <= kRowsMax);
    std::stable_sort(out->rows.begin(), out->rows.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    for (size_t i = 0; i < out->rows.size();) {
      size_t end = i + 1;
      while (end < out->rows.size() && out->rows[end].name == out->rows[i].name) ++end;
      out->by_name.emplace(out->rows[i].name,
                           std::span<const DirectiveRow>(out->rows).subspan(i, end - i));
      i = end;
    }
    return out;
  }();
  return made;
}

struct ContextName {
  uint32_t bit;
  std::string_view name;
};
constexpr ContextName kContextNames[] = {
    {kMain, "main"},
    {kEvents, "events"},
    {kHttp, "http"},
    {kServer, "server"},
    {kLocation, "location"},
    {kServerIf, "if in server"},
    {kLocationIf, "if in location"},
    {kLimitExcept, "limit_except"},
    {kUpstream, "upstream"},
    {kMail, "mail"},
    {kMailServer, "mail server"},
    {kStream, "stream"},
    {kStreamServer, "stream server"},
    {kStreamUpstream, "stream upstream"},
};

std::string argument_form(uint32_t arguments) {
  if ((arguments & kFlag) != 0) return "on | off";
  std::string out;
  auto add = [&](std::string_view text) {
    if (!out.empty()) out += ", ";
    out += text;
  };
  if ((arguments & kNone0) != 0) add("none");
  for (int i = 1; i <= 7; ++i) {
    if ((arguments >> i & 1) != 0) add(std::to_string(i));
  }
  if ((arguments & kAny) != 0) add("any number");
  if ((arguments & k1More) != 0) add("1 or more");
  if ((arguments & k2More) != 0) add("2 or more");
  if ((arguments & kBlock) != 0) out += " { ... }";
  return out;
}

std::string_view support_text(Support support) {
  switch (support) {
    case Support::kInForce:
      return "in force";
    case Support::kNoEffect:
      return "accepted, no effect";
    case Support::kWarned:
      return "accepted with a warning";
    case Support::kUnsupported:
      return "accepted; the location answers 503";
    case Support::kRefused:
      return "refused";
  }
  return {};
}

std::string_view merge_text(Merge merge) {
  switch (merge) {
    case Merge::kNotMerged:
      return "not inherited";
    case Merge::kOverride:
      return "inherited, once per block";
    case Merge::kReplaceList:
      return "inherited unless the block has its own";
    case Merge::kAppend:
      return "may be repeated";
  }
  return {};
}

std::string_view reload_text(ReloadEffect effect) {
  switch (effect) {
    case ReloadEffect::kServing:
      return "reload: next request";
    case ReloadEffect::kSockets:
      return "reload: sockets compared";
    case ReloadEffect::kLogs:
      return "reload: logs reopened";
    case ReloadEffect::kRestart:
      return "needs a restart";
  }
  return {};
}

}  // namespace

std::span<const DirectiveRow> directive_table() { return table().rows; }

std::span<const DirectiveRow> find_directives(std::string_view name) {
  auto found = table().by_name.find(name);
  return found == table().by_name.end() ? std::span<const DirectiveRow>() : found->second;
}

std::string context_names(uint32_t contexts) {
  std::string out;
  for (const ContextName& row : kContextNames) {
    if ((contexts & row.bit) == 0) continue;
    if (!out.empty()) out += ", ";
    out += row.name;
  }
  return out;
}

std::string reference_manual() {
  std::string out =
      "# Directives\n\nMade from the directive table; do not edit.\n\n"
      "| directive | words | where | default | state | inheritance, reload | meaning |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const DirectiveRow& row : directive_table()) {
    out.append("| `").append(row.name).append("` | ").append(argument_form(row.arguments));
    out.append(" | ").append(context_names(row.contexts)).append(" | ");
    if (!row.default_value.empty()) out.append("`").append(row.default_value).append("`");
    out.append(" | ").append(support_text(row.support));
    out.append(" | ").append(merge_text(row.merge)).append("; ").append(reload_text(row.reload));
    out.append(" | ").append(row.help).append(" |\n");
  }
  return out;
}

std::string completion_words() {
  std::string out;
  std::string_view last;
  for (const DirectiveRow& row : directive_table()) {
    if (row.name != last) out.append(row.name).append("\n");
    last = row.name;
  }
  return out;
}

}  // namespace bulkhead::config
