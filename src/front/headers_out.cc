#include "front/headers_out.h"

#include <algorithm>
#include <atomic>
#include <charconv>

#include "front/plan.h"
#include "front/variables.h"
#include "http/ascii.h"
#include "http/conditional.h"
#include "http/range.h"
#include "http/uri.h"

namespace bulkhead::front {

using config::Expires;
using config::LocConf;

namespace {

bool is_safe_status(uint16_t status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

std::optional<std::string_view> condition_header(const Exchange& ex, http::HeaderId id) {
  const http::HeaderField* h = ex.request->find(id);
  if (h == nullptr) return std::nullopt;
  return ex.request->value(*h);
}

// If-Match and its kind.  304 is settled here; 412 is for the caller.
uint16_t answer_conditions(Exchange& ex) {
  Response& r = ex.response;
  if (r.status != 200 || r.from_app || ex.filter_finalized) return 0;
  using http::HeaderId;
  http::Conditions c;
  c.if_match = condition_header(ex, HeaderId::kIfMatch);
  c.if_none_match = condition_header(ex, HeaderId::kIfNoneMatch);
  c.if_modified_since = condition_header(ex, HeaderId::kIfModifiedSince);
  c.if_unmodified_since = condition_header(ex, HeaderId::kIfUnmodifiedSince);
  if (!c.if_match && !c.if_none_match && !c.if_modified_since && !c.if_unmodified_since) return 0;
  c.etag = r.etag;
  if (r.last_modified >= 0) c.last_modified = r.last_modified;
  switch (ex.conf().if_modified_since) {
    case LocConf::IfModifiedSince::kOff:
      c.rule = http::IfModifiedSinceRule::kOff;
      break;
    case LocConf::IfModifiedSince::kExact:
      c.rule = http::IfModifiedSinceRule::kExact;
      break;
    case LocConf::IfModifiedSince::kBefore:
      c.rule = http::IfModifiedSinceRule::kBefore;
      break;
  }
  switch (http::evaluate_conditions(c)) {
    case http::ConditionAnswer::kProceed:
      return 0;
    case http::ConditionAnswer::kPreconditionFailed:
      return 412;
    case http::ConditionAnswer::kNotModified:
      break;
  }
  r.status = 304;
  r.status_text = {};
  r.content_type = {};
  r.content_length = -1;
  r.content_encoding = {};
  r.allow_ranges = false;
  r.body = BodyKind::kNone;
  r.pieces.clear();
  return 0;
}

std::string_view date_in(Exchange& ex, int64_t seconds) {
  char* at = ex.arena.allocate(http::kHttpDateSize);
  http::write_http_date(at, seconds);
  return {at, http::kHttpDateSize};
}

std::string_view max_age_text(Exchange& ex, int64_t seconds) {
  constexpr std::string_view kName = "max-age=";
  char* at = ex.arena.allocate(kName.size() + 20);
  char* end = std::copy(kName.begin(), kName.end(), at);
  end = std::to_chars(end, end + 20, seconds).ptr;
  ex.arena.shrink_last(end);
  return {at, static_cast<size_t>(end - at)};
}

// Seconds until a time of day (UTC offset of the machine applies, as in nginx).
int64_t next_time_of_day(int64_t now, int64_t time_of_day) {
  int64_t local = now + http::local_offset(now);
  int64_t next = local - local % 86400 + time_of_day;
  if (next <= local) next += 86400;
  return next - http::local_offset(now);
}

std::optional<Expires> variable_expires(Exchange& ex, const Expires& conf) {
  std::string_view text = evaluate(ex, conf.variable);
  std::vector<std::string_view> words;
  while (!text.empty()) {
    size_t space = text.find(' ');
    if (space != 0) words.push_back(text.substr(0, space));
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  if (words.empty()) return std::nullopt;
  auto parsed = config::parse_expires(std::move(words));
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

void apply_expires(Exchange& ex, const Expires& e) {
  Response& r = ex.response;
  int64_t now = ex.ambient->loop->wall_seconds();
  auto say = [&r](std::string_view expires, std::string_view control) {
    set_header(r, "Expires", expires);
    set_header(r, "Cache-Control", control);
  };
  switch (e.kind) {
    case Expires::Kind::kOff:
    case Expires::Kind::kVariable:
      return;
    case Expires::Kind::kEpoch:
      return say("Thu, 01 Jan 1970 00:00:01 GMT", "no-cache");
    case Expires::Kind::kMax:
      return say("Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000");
    case Expires::Kind::kTimeOfDay: {
      int64_t at = next_time_of_day(now, e.seconds);
      return say(date_in(ex, at), max_age_text(ex, at - now));
    }
    case Expires::Kind::kDelta:
    case Expires::Kind::kModifiedDelta:
      break;
  }
  if (e.seconds == 0) return say(ex.ambient->times->http(), "max-age=0");
  bool by_file = e.kind == Expires::Kind::kModifiedDelta && r.last_modified >= 0;
  int64_t at = (by_file ? r.last_modified : now) + e.seconds;
  int64_t age = by_file ? at - now : e.seconds;
  bool past = e.seconds < 0 || age < 0;
  say(date_in(ex, at), past ? std::string_view("no-cache") : max_age_text(ex, age));
}

void add_configured_header(Exchange& ex, const config::AddHeader& h) {
  Response& r = ex.response;
  std::string_view value = evaluate(ex, h.value);
  if (http::iequals(h.name, "Last-Modified")) {
    remove_header(r, "Last-Modified");
    r.has_last_modified = !value.empty();
    r.last_modified = http::parse_http_date(value).value_or(-1);
    if (!value.empty()) r.headers.push_back({h.name, value});
    return;
  }
  if (http::iequals(h.name, "ETag")) {
    r.etag = value;
    return;
  }
  if (!value.empty()) r.headers.push_back({h.name, value});
}

void add_headers(Exchange& ex) {
  if (!ex.location->has_headers) return;
  const LocConf& conf = ex.conf();
  bool safe = is_safe_status(ex.response.status);
  if (safe && conf.expires.kind == Expires::Kind::kVariable) {
    if (auto parsed = variable_expires(ex, conf.expires)) apply_expires(ex, *parsed);
  } else if (safe) {
    apply_expires(ex, conf.expires);
  }
  for (const config::AddHeader& h : conf.add_headers) {
    if (safe || h.always) add_configured_header(ex, h);
  }
  for (const config::AddHeader& h : conf.add_trailers) {
    if (!safe && !h.always) continue;
    std::string_view value = evaluate(ex, h.value);
    if (!value.empty()) ex.response.trailers.push_back({h.name, value});
  }
}

void set_charset(Exchange& ex) {
  Response& r = ex.response;
  const LocConf& conf = ex.conf();
  if (conf.charset.empty() && !conf.charset_variable) return;
  if (r.content_type.empty() || !r.charset.empty() || r.content_type_is_complete) return;
  if (!r.content_encoding.empty()) return;
  if (!r.override_charset.empty()) {  // only a charset the configuration knows
    if (http::iequals(r.override_charset, conf.charset)) r.charset = conf.charset;
    return;
  }
  bool listed = std::any_of(
      conf.charset_types.begin(), conf.charset_types.end(),
      [&r](const std::string& type) { return type == "*" || http::iequals(type, r.content_type); });
  if (!listed) return;
  r.charset = conf.charset_variable ? evaluate(ex, *conf.charset_variable) : conf.charset;
}

std::string_view full_content_type(Exchange& ex) {
  const Response& r = ex.response;
  if (r.charset.empty() || r.content_type_is_complete) return r.content_type;
  constexpr std::string_view kMiddle = "; charset=";
  size_t bytes = r.content_type.size() + kMiddle.size() + r.charset.size();
  char* at = ex.arena.allocate(bytes);
  char* next = std::copy(r.content_type.begin(), r.content_type.end(), at);
  next = std::copy(kMiddle.begin(), kMiddle.end(), next);
  std::copy(r.charset.begin(), r.charset.end(), next);
  return {at, bytes};
}

// Cuts one stretch out of the body, which is one piece: a file or a text.
BodyPiece cut(const BodyPiece& whole, const http::ByteRange& range) {
  if (whole.text.data() != nullptr) return {whole.text.substr(range.start, range.size()), 0, 0};
  return {{}, whole.offset + range.start, range.size()};
}

void send_one_range(Exchange& ex, const http::ByteRange& range, uint64_t length) {
  Response& r = ex.response;
  std::string text;
  http::append_content_range(text, range, length);
  r.headers.push_back({"Content-Range", ex.arena.copy(text)});
  r.content_length = static_cast<int64_t>(range.size());
  r.pieces[0] = cut(r.pieces[0], range);
}

void send_ranges(Exchange& ex, const std::vector<http::ByteRange>& ranges, uint64_t length) {
  static std::atomic<uint64_t> next_boundary{1};
  Response& r = ex.response;
  http::MultipartRanges framing(next_boundary.fetch_add(1, std::memory_order_relaxed),
                                full_content_type(ex), length);
  BodyPiece whole = r.pieces[0];
  r.pieces.clear();
  for (const http::ByteRange& range : ranges) {
    r.pieces.push_back({ex.arena.copy(framing.part_header(range)), 0, 0});
    r.pieces.push_back(cut(whole, range));
  }
  r.pieces.push_back({ex.arena.copy(framing.end()), 0, 0});
  r.content_type = ex.arena.copy(framing.content_type());
  r.content_type_is_complete = true;
  r.charset = {};
  r.content_length = static_cast<int64_t>(framing.total_size(ranges));
}

uint16_t answer_ranges(Exchange& ex) {
  Response& r = ex.response;
  if (ex.request->version() < 1000 || r.status != 200 || r.content_length < 0 || !r.allow_ranges ||
      ex.conf().max_ranges == 0 || r.pieces.size() > 1) {
    return 0;
  }
  auto announce = [&r] {
    r.headers.push_back({"Accept-Ranges", "bytes"});
    return uint16_t{0};
  };
  auto range = condition_header(ex, http::HeaderId::kRange);
  if (!range) return announce();
  if (auto if_range = condition_header(ex, http::HeaderId::kIfRange)) {
    std::optional<int64_t> modified;
    if (r.last_modified >= 0) modified = r.last_modified;
    if (!http::if_range_holds(*if_range, r.etag, modified)) return announce();
  }
  auto length = static_cast<uint64_t>(r.content_length);
  std::vector<http::ByteRange> ranges;
  switch (http::parse_ranges(*range, length, ex.conf().max_ranges, ranges)) {
    case http::RangeAnswer::kWhole:
      return announce();
    case http::RangeAnswer::kUnsatisfiable: {
      std::string text;
      http::append_unsatisfied_range(text, length);
      r.headers.push_back({"Content-Range", ex.arena.copy(text)});
      r.content_length = -1;
      return 416;
    }
    case http::RangeAnswer::kRanges:
      break;
  }
  if (r.pieces.empty()) r.pieces.push_back({std::string_view("", 0), 0, 0});
  r.status = 206;
  r.status_text = {};
  if (ranges.size() == 1) {
    send_one_range(ex, ranges[0], length);
  } else {
    send_ranges(ex, ranges, length);
  }
  return 0;
}

}  // namespace

uint16_t filter_response(Exchange& ex) {
  Response& r = ex.response;
  if (ex.error_status != 0) {
    r.status = ex.error_status;
    r.status_text = {};
  }
  if (uint16_t replaced = answer_conditions(ex)) return replaced;
  add_headers(ex);
  set_charset(ex);
  return answer_ranges(ex);
}

ResponseHeader* find_header(Response& response, std::string_view name) {
  for (ResponseHeader& h : response.headers) {
    if (http::iequals(h.name, name)) return &h;
  }
  return nullptr;
}

void set_header(Response& response, std::string_view name, std::string_view value) {
  bool set = false;
  for (ResponseHeader& h : response.headers) {
    if (!http::iequals(h.name, name)) continue;
    if (set) {
      h.name = {};
    } else {
      h.value = value;
      set = true;
    }
  }
  if (!set) response.headers.push_back({name, value});
}

void remove_header(Response& response, std::string_view name) {
  for (ResponseHeader& h : response.headers) {
    if (http::iequals(h.name, name)) h.name = {};
  }
}

void set_content_type(Exchange& ex) {
  Response& r = ex.response;
  if (!r.content_type.empty()) return;
  const LocConf& conf = ex.conf();
  std::string_view extension = http::extension_of(ex.uri);
  if (!extension.empty() && extension.size() <= 32 && conf.types) {
    char lower[32];
    std::transform(extension.begin(), extension.end(), lower, http::to_lower);
    std::string_view key(lower, extension.size());
    const auto& table = conf.types->by_extension;
    auto it = std::lower_bound(table.begin(), table.end(), key,
                               [](const auto& row, std::string_view k) { return row.first < k; });
    if (it != table.end() && it->first == key) {
      r.content_type = it->second;
      return;
    }
  }
  r.content_type = conf.default_type;
}

void set_etag(Exchange& ex, int64_t mtime, uint64_t size) {
  if (!ex.conf().etag) return;
  char* at = ex.arena.allocate(40);
  char* end = at;
  *end++ = '"';
  end = std::to_chars(end, end + 16, static_cast<uint64_t>(mtime), 16).ptr;
  *end++ = '-';
  end = std::to_chars(end, end + 16, size, 16).ptr;
  *end++ = '"';
  ex.arena.shrink_last(end);
  ex.response.etag = {at, static_cast<size_t>(end - at)};
}

}  // namespace bulkhead::front
