#include "import/directives.h"

#include <algorithm>

#include "config/nginx_parser.h"
#include "config/nginx_table.h"

namespace bulkhead::import {
namespace {

using config::Context;
using config::Directive;
using config::DirectiveRow;
using config::Support;

// Blocks whose entries are words, not directives.
bool is_list(std::string_view name) {
  for (std::string_view list : {"map", "types", "geo", "split_clients", "charset_map", "match",
                                "geoip2", "otel_exporter"}) {
    if (name == list) return true;
  }
  return false;
}

uint32_t context_within(const Directive& block, uint32_t outer) {
  const std::string& name = block.name;
  if (name == "events") return config::kEvents;
  if (name == "http") return config::kHttp;
  if (name == "mail") return config::kMail;
  if (name == "stream") return config::kStream;
  if (name == "location") return config::kLocation;
  if (name == "limit_except") return config::kLimitExcept;
  if (name == "if") {
    return outer == config::kServer ? config::kServerIf : config::kLocationIf;
  }
  if (name == "server") {
    if (outer == config::kMail) return config::kMailServer;
    return outer == config::kStream ? config::kStreamServer : config::kServer;
  }
  if (name == "upstream") {
    return outer == config::kStream ? config::kStreamUpstream : config::kUpstream;
  }
  return outer;
}

const DirectiveRow* row_of(const Directive& d, uint32_t context) {
  for (const DirectiveRow& row : config::find_directives(d.name)) {
    if ((row.contexts & context) != 0) return &row;
  }
  return nullptr;
}

class Look {
 public:
  Look(const config::Ast& ast, Report* report) : ast_(ast), report_(*report) {}

  void at(const std::vector<Directive>& items, uint32_t context) {
    for (const Directive& d : items) {
      if (d.name == config::kErrorDirective) continue;
      if (config::find_directives(d.name).empty()) {
        add(d, "unknown", "neither nginx 1.22 nor Bulkhead knows it (a module's own?)",
            "remove it, or leave this part to nginx");
        continue;
      }
      const DirectiveRow* row = row_of(d, context);
      if (row != nullptr) look_at(d, *row);
      const bool refused = row != nullptr && row->support == Support::kRefused;
      if (d.is_block && !refused && !is_list(d.name)) at(d.children, context_within(d, context));
    }
  }

 private:
  void look_at(const Directive& d, const DirectiveRow& row) {
    const bool is_off = d.args.size() == 1 && d.args[0].text == "off";
    switch (row.support) {
      case Support::kInForce:
        return;
      case Support::kNoEffect:
        return ignore(row);
      case Support::kWarned:
        return add(d, "differs", std::string(row.help), "see whether the site minds");
      case Support::kUnsupported:
        if (is_off) return;
        return add(d, "answers 503", std::string(row.help),
                   "leave this site to nginx until it is supported, or remove the directive if it "
                   "is not needed");
      case Support::kRefused:
        return add(d, "refused", std::string(row.help),
                   "remove it, or leave this part to nginx on ports of its own");
    }
  }

  void add(const Directive& d, std::string outcome, std::string reason, std::string advice) {
    report_.problems.push_back({std::move(outcome), d.name, place(ast_, d.file, d.line),
                                std::move(reason), std::move(advice)});
  }

  void ignore(const DirectiveRow& row) {
    auto& all = report_.ignored;
    auto at = std::find_if(all.begin(), all.end(), [&](auto& one) { return one.name == row.name; });
    if (at == all.end()) {
      all.push_back({std::string(row.name), std::string(row.help), 1});
    } else {
      ++at->times;
    }
  }

  const config::Ast& ast_;
  Report& report_;
};

}  // namespace

std::string place(const config::Ast& ast, uint32_t file, uint32_t line) {
  if (file >= ast.files.size()) return "the configuration";
  return ast.files[file].path + ":" + std::to_string(line);
}

void look_at_directives(const config::Ast& ast, Report* report) {
  Look(ast, report).at(ast.top, config::kMain);
}

}  // namespace bulkhead::import
