// The report for programs; its fields are documented in bulkhead-import(1).
#include <nlohmann/json.hpp>

#include "import/report.h"

namespace bulkhead::import {

using nlohmann::json;

std::string to_json(const Report& report) {
  json out{{"nginx", report.nginx}, {"fpm", report.fpm},     {"servable", report.error.empty()},
           {"error", report.error}, {"notes", report.notes}, {"not_searched", report.not_searched},
           {"taken", report.taken}};
  for (const char* list : {"sites", "problems", "ignored", "shared_users", "sockets", "secrets"}) {
    out[list] = json::array();
  }
  for (const ServedSite& s : report.sites) {
    out["sites"].push_back({{"names", s.names},
                            {"listen", s.listens},
                            {"root", s.root},
                            {"user", s.user},
                            {"pool", s.pool},
                            {"file", s.file},
                            {"line", s.line}});
  }
  for (const Problem& p : report.problems) {
    out["problems"].push_back({{"outcome", p.outcome},
                               {"directive", p.directive},
                               {"where", p.where},
                               {"reason", p.reason},
                               {"advice", p.advice}});
  }
  for (const IgnoredDirective& i : report.ignored) {
    out["ignored"].push_back({{"directive", i.name}, {"reason", i.reason}, {"times", i.times}});
  }
  for (const SharedUser& s : report.shared) {
    out["shared_users"].push_back(
        {{"user", s.user}, {"sites", s.sites}, {"split_commands", s.commands}});
  }
  for (const OpenSocket& s : report.sockets) {
    out["sockets"].push_back({{"pool", s.pool}, {"path", s.path}, {"where", s.where}});
  }
  for (const OpenSecret& s : report.secrets) {
    out["secrets"].push_back({{"path", s.path}, {"kind", s.kind}, {"mode", s.mode}});
  }
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace bulkhead::import
