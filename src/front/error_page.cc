// Answers with a status: through error_page where configured, else nginx's built-in page.
//
// Runs in: front.  Input: statuses of our own steps and of applications.
// Ref: nginx "error_page", "recursive_error_pages"; observed behaviour of 1.22.
#include <algorithm>

#include "front/headers_out.h"
#include "front/steps.h"
#include "front/variables.h"
#include "http/ascii.h"
#include "http/response.h"

namespace bulkhead::front {

namespace {

constexpr uint16_t kCloseWithoutAnswer = 444;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Statuses after which the rest of the request cannot be trusted.
bool ends_connection(uint16_t status) {
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 495:
    case 496:
    case 497:
    case 500:
    case 501:
      return true;
    default:
      return false;
  }
}

}  // namespace

Next Steps::respond(Exchange& ex) {
  Response& r = ex.response;
  if (uint16_t replaced = filter_response(ex)) {
    if (replaced == 412) {  // nothing of the refused response may stay
      r.headers.clear();
      r.trailers.clear();
      r.location = {};
      ex.filter_finalized = true;
    }
    return fail(ex, replaced);
  }
  write_head(ex);
  r.head_sent = true;
  output_.respond(ex);
  return Next::kOver;
}

void Steps::drop_body(Exchange& ex) {
  Response& r = ex.response;
  r.body = BodyKind::kNone;
  r.pieces.clear();
  r.file = nullptr;
  // As in nginx, an application's charset outlives its replaced body.
  r.content_type = r.etag = r.content_encoding = {};
  r.content_type_is_complete = r.allow_ranges = r.has_last_modified = r.from_app = false;
  r.content_length = r.last_modified = -1;
  r.status_text = {};
}

Next Steps::fail(Exchange& ex, uint16_t status) {
  if (status == kCloseWithoutAnswer || status == 408 || status == 499) {
    ex.error_status = 0;
    ex.response.status = status;
    ex.keepalive = false;
    ex.lingering = false;
    output_.close(ex);
    return Next::kOver;
  }
  // 201 and 204 by `return` or X-Accel have no page, everything below 300 keeps its status.
  ex.error_status = status;
  if (ends_connection(status)) ex.keepalive = false;
  if (status == 400 || (status >= 495 && status <= 497)) ex.lingering = false;
  drop_body(ex);
  const config::LocConf& conf = ex.conf();
  if (!ex.error_page_active && !conf.error_pages.empty() && ex.uri_changes_left != 0) {
    if (!conf.recursive_error_pages) ex.error_page_active = true;
    for (const config::ErrorPage& page : conf.error_pages) {
      if (std::find(page.statuses.begin(), page.statuses.end(), status) != page.statuses.end()) {
        return send_error_page(ex, page, status);
      }
    }
  }
  return builtin_page(ex, status);
}

Next Steps::send_error_page(Exchange& ex, const config::ErrorPage& page, uint16_t status) {
  if (page.overwrite) {
    ex.error_status = static_cast<uint16_t>(*page.overwrite);
  } else if (status >= 494 && status <= 497) {
    ex.error_status = 400;
  }
  std::string_view target = evaluate(ex, page.uri);
  if (target.starts_with('/')) {
    if (ex.method != http::Method::kHead) {
      ex.method = http::Method::kGet;
      ex.method_name = "GET";
    }
    size_t mark = target.find('?');
    std::string_view args = mark == std::string_view::npos ? "" : target.substr(mark + 1);
    return internal_redirect(ex, target.substr(0, mark), args);
  }
  if (target.starts_with('@')) return named_location(ex, target);
  if (!page.overwrite || !is_redirect(*page.overwrite)) ex.error_status = 302;
  ex.response.location = target;
  return builtin_page(ex, ex.error_status);
}

Next Steps::builtin_page(Exchange& ex, uint16_t status) {
  Response& r = ex.response;
  drop_body(ex);
  ex.error_status = static_cast<uint16_t>(http::wire_status(status));
  r.status = ex.error_status;
  r.body_text.clear();
  if (http::has_error_page(status)) {
    auto padding = http::MsiePadding::kNo;
    if (status >= 400 && ex.conf().msie_padding && ex.request->version() >= 1000 &&
        http::wants_msie_padding(ex.request->find_value(http::HeaderId::kUserAgent))) {
      padding = http::MsiePadding::kYes;
    }
    http::append_error_page(r.body_text, status, ex.location->server_token, padding);
    r.content_type = "text/html";
  }
  r.content_length = static_cast<int64_t>(r.body_text.size());
  if (!r.body_text.empty()) {
    r.body = BodyKind::kPieces;
    r.pieces.push_back({r.body_text, 0, 0});
  }
  return respond(ex);
}

}  // namespace bulkhead::front
