#include "sites/step.h"

#include <nlohmann/json.hpp>

namespace bulkhead::sites {
namespace {

using nlohmann::json;

json to_json(const std::vector<Step>& steps) {
  json out = json::array();
  for (const Step& step : steps) out.push_back({{"kind", step.kind}, {"with", step.with}});
  return out;
}

bool read_steps(const json& from, std::vector<Step>* to) {
  if (!from.is_array()) return false;
  for (const json& item : from) {
    if (!item.is_object() || !item.contains("kind") || !item.contains("with")) return false;
    if (!item["kind"].is_string() || !item["with"].is_object()) return false;
    Step& step = to->emplace_back();
    step.kind = item["kind"].get<std::string>();
    for (const auto& [name, value] : item["with"].items()) {
      if (!value.is_string()) return false;
      step.with[name] = value.get<std::string>();
    }
  }
  return true;
}

}  // namespace

const std::string& Step::word(const std::string& name) const {
  static const std::string kNone;
  auto at = with.find(name);
  return at == with.end() ? kNone : at->second;
}

std::string to_text(const Work& work) {
  const json whole{
      {"command", work.command}, {"steps", to_json(work.steps)}, {"finish", to_json(work.finish)}};
  return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Work> parse_work(std::string_view text) {
  const json whole = json::parse(text, nullptr, false);
  Work work;
  if (!whole.is_object() || !whole.contains("command") || !whole["command"].is_string() ||
      !whole.contains("steps") || !read_steps(whole["steps"], &work.steps) ||
      !whole.contains("finish") || !read_steps(whole["finish"], &work.finish)) {
    return fail("not a journal of bulkhead site");
  }
  work.command = whole["command"].get<std::string>();
  return work;
}

}  // namespace bulkhead::sites
