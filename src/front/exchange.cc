#include "front/exchange.h"

#include "front/plan.h"
#include "front/suspension.h"

namespace bulkhead::front {

Exchange::Exchange() = default;
Exchange::~Exchange() = default;

namespace {

void reset_response(Response& r) {
  auto headers = std::move(r.headers);
  auto trailers = std::move(r.trailers);
  auto pieces = std::move(r.pieces);
  auto text = std::move(r.body_text);
  r = Response();
  headers.clear();
  trailers.clear();
  pieces.clear();
  if (text.capacity() > 64 * 1024) text = std::string();
  text.clear();
  r.headers = std::move(headers);
  r.trailers = std::move(trailers);
  r.pieces = std::move(pieces);
  r.body_text = std::move(text);
}

}  // namespace

void Exchange::reset() {
  if (waiting) waiting->clear();
  request = nullptr;
  server = nullptr;
  location = nullptr;
  uri = args = method_name = {};
  method = http::Method::kGet;
  uri_changes_left = 11;
  handler = 0;
  uri_changed = escapes_captures = add_uri_to_alias = internal = error_page_active = false;
  filter_finalized = false;
  unparsed_uri_is_valid = location_is_valid = true;
  error_status = 0;
  match.groups.count = 0;
  for (Value& v : user_variables) v = Value();
  std::fill(map_done.begin(), map_done.end(), false);
  realpath_of = realpath_root = request_id = {};
  split_done = false;
  script_name = path_info = {};
  limit_rate.reset();
  target = AppTarget();
  params.clear();
  params_ready = false;
  peers.forget();
  tries.clear();
  accel_buffering = true;
  body_length = -1;
  body_in_memory_known = has_upstream_head = false;
  request_body = request_body_file = {};
  upstream_headers.clear();
  reset_response(response);
  head.clear();
  keepalive = false;
  lingering = true;
  bytes_sent = body_bytes_sent = request_body_bytes = 0;
  completed = logged = false;
  arena.reset();
}

const config::LocConf& Exchange::conf() const { return *location->conf; }

}  // namespace bulkhead::front
