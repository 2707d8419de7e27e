#include "http/conditional.h"

#include "http/ascii.h"
#include "http/date.h"

namespace bulkhead::http {
namespace {

bool was_modified(const Conditions& c) {
  if (!c.last_modified || c.rule == IfModifiedSinceRule::kOff) return true;
  const auto since = parse_http_date(*c.if_modified_since);
  if (since == c.last_modified) return false;
  // An unreadable date counts as older than everything.
  return c.rule == IfModifiedSinceRule::kExact || since.value_or(-1) < *c.last_modified;
}

bool was_unmodified(const Conditions& c) {
  if (!c.last_modified) return false;
  const auto since = parse_http_date(*c.if_unmodified_since);
  return since && *since >= *c.last_modified;
}

std::string_view without_weak_mark(std::string_view etag) {
  return etag.substr(0, 2) == "W/" ? etag.substr(2) : etag;
}

}  // namespace

std::string make_etag(int64_t mtime, uint64_t size) {
  std::string out = "\"";
  append_hex(out, static_cast<uint64_t>(mtime));
  out += '-';
  append_hex(out, size);
  out += '"';
  return out;
}

bool etag_list_matches(std::string_view list, std::string_view etag, EtagCompare compare) {
  if (list == "*") return true;
  if (etag.empty()) return false;
  if (compare == EtagCompare::kWeak) etag = without_weak_mark(etag);
  while (!list.empty()) {
    std::string_view item = list;
    if (compare == EtagCompare::kWeak) item = without_weak_mark(item);
    if (item.substr(0, etag.size()) == etag) {
      const std::string_view after = trim(item.substr(etag.size()));
      if (after.empty() || after.front() == ',') return true;
    }
    const size_t comma = list.find(',');
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma);
    const size_t start = list.find_first_not_of(" \t,");
    if (start == std::string_view::npos) return false;
    list.remove_prefix(start);
  }
  return false;
}

ConditionAnswer evaluate_conditions(const Conditions& c) {
  if (c.if_unmodified_since && !was_unmodified(c)) return ConditionAnswer::kPreconditionFailed;
  if (c.if_match && !etag_list_matches(*c.if_match, c.etag, EtagCompare::kStrong)) {
    return ConditionAnswer::kPreconditionFailed;
  }
  if (!c.if_modified_since && !c.if_none_match) return ConditionAnswer::kProceed;
  if (c.if_modified_since && was_modified(c)) return ConditionAnswer::kProceed;
  if (c.if_none_match && !etag_list_matches(*c.if_none_match, c.etag, EtagCompare::kWeak)) {
    return ConditionAnswer::kProceed;
  }
  return ConditionAnswer::kNotModified;
}

bool if_range_holds(std::string_view if_range, std::string_view etag,
                    std::optional<int64_t> last_modified) {
  if (if_range.size() >= 2 && if_range.back() == '"') return if_range == etag;
  return last_modified && parse_http_date(if_range) == last_modified;
}

}  // namespace bulkhead::http
