// What an application answered, turned into a response: or into another route.
//
// Runs in: front.  Input: the CGI head block (hostile), from a private copy.
// Ref: nginx ngx_http_fastcgi_module and upstream behaviour, 1.22.
#include <algorithm>

#include "front/headers_out.h"
#include "front/steps.h"
#include "front/variables.h"
#include "http/ascii.h"
#include "http/uri.h"

namespace bulkhead::front {

using config::LogLevel;
using http::iequals;

namespace {

bool is_hidden(const config::LocConf& conf, std::string_view name) {
  for (const std::string& hidden : conf.fastcgi.hide_headers) {
    if (iequals(hidden, name)) return true;
  }
  return false;
}

// Headers that describe a connection, or that the head says in its own place.
bool is_framing(std::string_view name) {
  static constexpr std::string_view kNames[] = {"Status",
                                                "Connection",
                                                "Keep-Alive",
                                                "Transfer-Encoding",
                                                "Content-Length",
                                                "X-Accel-Expires",
                                                "X-Accel-Redirect",
                                                "X-Accel-Limit-Rate",
                                                "X-Accel-Buffering",
                                                "X-Accel-Charset",
                                                "Content-Type"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view n) { return iequals(n, name); });
}

// Headers that stay when X-Accel-Redirect replaces the response.
bool survives_redirect(std::string_view name) {
  static constexpr std::string_view kNames[] = {"Set-Cookie", "Content-Disposition",
                                                "Cache-Control", "Expires", "Accept-Ranges"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view n) { return iequals(n, name); });
}

}  // namespace

Next Steps::app_head(Exchange& ex, std::string_view block) {
  std::string_view kept = ex.arena.copy(block);
  http::CgiHeadError error = cgi_.parse(kept);
  if (error != http::CgiHeadError::kNone) {
    return app_error(ex, AppError::kInvalid, cgi_.error_text());
  }
  auto status = static_cast<uint16_t>(cgi_.status());
  if (!ex.tries.empty()) ex.tries.back().status = status;
  ex.has_upstream_head = true;
  ex.upstream_headers.clear();
  for (const http::CgiHeader& h : cgi_.headers()) ex.upstream_headers.push_back({h.name, h.value});
  if (status >= 300) {
    static constexpr std::pair<uint16_t, uint32_t> kReasons[] = {
        {500, 8}, {503, 16}, {403, 32}, {404, 64}, {429, 128}};
    for (auto [code, bit] : kReasons) {
      if (status != code || !may_retry(ex, bit, true)) continue;
      using Outcome = PeerChoice::Outcome;
      end_try(ex, code == 403 || code == 404 ? Outcome::kRefused : Outcome::kFailed,
              "reading response header from upstream");
      output_.pass_to_app(ex);
      return Next::kOver;
    }
    if (intercepts(ex, status)) {
      const http::CgiHeader* challenge = status == 401 ? cgi_.find("WWW-Authenticate") : nullptr;
      if (challenge != nullptr) {
        ex.response.headers.push_back({"WWW-Authenticate", challenge->value});
      }
      output_.drop_app(ex);
      return fail(ex, status);
    }
  }
  const config::IgnoreHeaders& ignore = ex.conf().fastcgi.ignore;
  const http::CgiHeader* redirect = cgi_.find("X-Accel-Redirect");
  if (redirect != nullptr && !ignore.x_accel_redirect) return accel_redirect(ex, redirect->value);
  Response& r = ex.response;
  read_accel_headers(ex);
  copy_app_headers(ex);
  r.status = status;
  r.status_text = cgi_.status_line();
  r.from_app = true;
  r.body = BodyKind::kApp;
  r.pieces.clear();
  return respond(ex);
}

bool Steps::intercepts(Exchange& ex, uint16_t status) const {
  const config::LocConf& conf = ex.conf();
  if (!conf.fastcgi.intercept_errors) return false;
  for (const config::ErrorPage& page : conf.error_pages) {
    if (std::find(page.statuses.begin(), page.statuses.end(), status) != page.statuses.end()) {
      return true;
    }
  }
  return false;
}

void Steps::read_accel_headers(Exchange& ex) {
  const config::IgnoreHeaders& ignore = ex.conf().fastcgi.ignore;
  ex.accel_buffering = ex.conf().fastcgi.buffering;
  for (const http::CgiHeader& h : cgi_.headers()) {
    if (!http::istarts_with(h.name, "X-Accel-")) continue;
    if (iequals(h.name, "X-Accel-Buffering") && !ignore.x_accel_buffering) {
      if (iequals(h.value, "no")) ex.accel_buffering = false;
      if (iequals(h.value, "yes")) ex.accel_buffering = true;
    } else if (iequals(h.name, "X-Accel-Limit-Rate") && !ignore.x_accel_limit_rate) {
      if (auto rate = http::parse_decimal(h.value)) ex.limit_rate = *rate;
    } else if (iequals(h.name, "X-Accel-Charset") && !ignore.x_accel_charset) {
      ex.response.override_charset = h.value;
    }
  }
}

void Steps::set_app_content_type(Exchange& ex, std::string_view value) {
  Response& r = ex.response;
  r.content_type = value;
  size_t at = http::ifind(value, "charset=");
  r.content_type_is_complete = at != std::string_view::npos && at > 0;
  if (r.content_type_is_complete)
    r.charset = value.substr(at + std::string_view("charset=").size());
}

void Steps::copy_app_headers(Exchange& ex) {
  Response& r = ex.response;
  const config::LocConf& conf = ex.conf();
  for (const http::CgiHeader& h : cgi_.headers()) {
    if (iequals(h.name, "Content-Length")) {
      if (auto length = http::parse_decimal(h.value)) {
        r.content_length = static_cast<int64_t>(*length);
      }
      continue;
    }
    if (is_hidden(conf, h.name)) continue;
    if (iequals(h.name, "Content-Type")) {
      set_app_content_type(ex, h.value);
      continue;
    }
    if (is_framing(h.name) && !http::istarts_with(h.name, "X-Accel-")) continue;
    if (iequals(h.name, "Date")) r.has_date = true;
    if (iequals(h.name, "Server")) r.has_server = true;
    if (iequals(h.name, "Content-Encoding")) r.content_encoding = h.value;
    if (iequals(h.name, "Last-Modified")) {
      r.has_last_modified = true;
      r.last_modified = http::parse_http_date(h.value).value_or(-1);
    }
    r.headers.push_back({h.name, h.value});
  }
}

Next Steps::accel_redirect(Exchange& ex, std::string_view target) {
  Response& r = ex.response;
  for (const http::CgiHeader& h : cgi_.headers()) {
    if (iequals(h.name, "Content-Type")) {
      set_app_content_type(ex, h.value);
    } else if (survives_redirect(h.name)) {
      r.headers.push_back({h.name, h.value});
    }
  }
  read_accel_headers(ex);
  output_.drop_app(ex);
  if (target.starts_with('@')) return named_location(ex, target);
  std::string path;
  size_t mark = target.find('?');
  http::append_unescaped(path, target.substr(0, mark), http::Unescape::kUri);
  if (!http::is_safe_path(path)) {
    log(ex, LogLevel::kError, "unsafe URI \"" + std::string(target) + "\" was detected", 0);
    return fail(ex, 404);
  }
  if (ex.method != http::Method::kHead) {
    ex.method = http::Method::kGet;
    ex.method_name = "GET";
  }
  std::string_view args = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  return internal_redirect(ex, ex.arena.copy(path), args);
}

}  // namespace bulkhead::front
