// Writes the response head: nginx's lines in nginx's order.
//
// Runs in: front.  Input: header values that may hold hostile bytes: no value can end its line.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "front/headers_out.h"
#include "front/plan.h"
#include "http/response.h"

namespace bulkhead::front {

namespace {

// Whether one of eight bytes is below 16: a control character, as those that end a line are.
bool may_hold_control(const char* eight) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t bytes;
  std::memcpy(&bytes, eight, sizeof bytes);
  return ((bytes - kOnes * 16) & ~bytes & (kOnes * 128)) != 0;
}

// Every value of every head comes through here: eight bytes at a step (find_first_of, which looks
// three characters up for each byte, was a fifth of a small file's instructions).
bool has_line_breaks(std::string_view value) {
  const char* at = value.data();
  const char* end = at + value.size();
  while (end - at >= 8 && !may_hold_control(at)) at += 8;
  return std::any_of(at, end, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

// A value can come from a decoded uri; a line break in it must not start another header.
void append_value(std::string& out, std::string_view value) {
  if (!has_line_breaks(value)) [[likely]] {
    out += value;
    return;
  }
  for (char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

void append_location(std::string& out, std::string_view value) {
  if (!has_line_breaks(value)) [[likely]] {
    out += value;
    return;
  }
  for (char c : value) {
    if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else if (c == '\0') {
      out += "%00";
    } else {
      out += c;
    }
  }
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_value(out, value);
  out += "\r\n";
}

void append_number(std::string& out, uint64_t value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + 20, value).ptr);
}

// "http://host:port" before a Location that is only a path.
void append_origin(std::string& out, const Exchange& ex) {
  const config::LocConf& conf = ex.conf();
  const ConnectionFacts& c = *ex.connection;
  out += c.tls ? "https://" : "http://";
  std::string_view host = ex.request->host();
  if (conf.server_name_in_redirect) host = ex.server->source->primary_name;
  if (host.empty() && !conf.server_name_in_redirect) host = c.local;
  out += host;
  uint16_t usual = c.tls ? 443 : 80;
  if (conf.port_in_redirect && c.local_port != 0 && c.local_port != usual) {
    out += ':';
    append_number(out, c.local_port);
  }
}

void append_content_type(std::string& out, const Response& r) {
  if (r.content_type.empty()) return;
  out += "Content-Type: ";
  append_value(out, r.content_type);
  if (!r.charset.empty() && !r.content_type_is_complete) {
    out += "; charset=";
    append_value(out, r.charset);
  }
  out += "\r\n";
}

void append_last_modified(std::string& out, const Response& r) {
  if (r.last_modified < 0 || r.has_last_modified) return;
  char date[http::kHttpDateSize];
  http::write_http_date(date, r.last_modified);
  out += "Last-Modified: ";
  out.append(date, sizeof date);
  out += "\r\n";
}

void append_connection(std::string& out, const Exchange& ex) {
  if (!ex.keepalive) {
    out += "Connection: close\r\n";
    return;
  }
  out += "Connection: keep-alive\r\n";
  if (auto seconds = ex.conf().keepalive_header) {
    out += "Keep-Alive: timeout=";
    append_number(out, static_cast<uint64_t>(seconds->count()));
    out += "\r\n";
  }
}

// Statuses that cannot have a body, or whose headers say nothing about one.
void settle_by_status(Exchange& ex) {
  Response& r = ex.response;
  if (ex.method == http::Method::kHead) r.header_only = true;
  if (r.status != 200 && r.status != 206 && r.status != 304) {
    r.last_modified = -1;
    if (r.has_last_modified) remove_header(r, "Last-Modified");
  }
  if (r.status == 204) {
    r.header_only = true;
    r.last_modified = -1;
    if (r.status_text.empty()) r.content_type = {};
    r.content_length = -1;
  } else if (r.status == 304) {
    r.header_only = true;
    if (r.from_app && r.content_length <= 0) r.content_length = -1;
  }
}

// A body of unknown length is chunked, or ends with the connection.
void settle_length(Exchange& ex) {
  Response& r = ex.response;
  if (r.status == 304 || r.status == 204 || r.status < 200 || ex.method == http::Method::kHead) {
    return;
  }
  bool has_trailers = !r.trailers.empty();
  if (r.content_length >= 0 && !has_trailers) return;
  if (ex.request->version() < 1001) {
    if (r.content_length < 0) ex.keepalive = false;
  } else if (ex.conf().chunked_transfer_encoding) {
    r.content_length = -1;
    r.chunked = true;
  } else if (r.content_length < 0) {
    ex.keepalive = false;
  }
}

}  // namespace

void write_head(Exchange& ex) {
  Response& r = ex.response;
  std::string& out = ex.head;
  out.clear();
  settle_by_status(ex);
  settle_length(ex);
  if (ex.request->version() == 9) {  // HTTP/0.9: only the body
    ex.keepalive = false;
    return;
  }
  if (r.status_text.empty()) {
    http::append_status_line(out, http::wire_status(r.status));
  } else {
    out += "HTTP/1.1 ";
    append_value(out, r.status_text);
    out += "\r\n";
  }
  if (!r.has_server) append_line(out, "Server", ex.location->server_token);
  if (!r.has_date) append_line(out, "Date", ex.ambient->times->http());
  append_content_type(out, r);
  if (r.content_length >= 0) {
    out += "Content-Length: ";
    append_number(out, static_cast<uint64_t>(r.content_length));
    out += "\r\n";
  }
  append_last_modified(out, r);
  bool path_only = r.location.starts_with('/') && ex.conf().absolute_redirect;
  if (path_only) {
    out += "Location: ";
    append_origin(out, ex);
    append_location(out, r.location);
    out += "\r\n";
  }
  if (r.chunked) out += "Transfer-Encoding: chunked\r\n";
  append_connection(out, ex);
  if (!path_only && r.location.data() != nullptr) {
    out += "Location: ";
    append_location(out, r.location);
    out += "\r\n";
  }
  if (!r.etag.empty()) append_line(out, "ETag", r.etag);
  for (const ResponseHeader& h : r.headers) {
    if (!h.name.empty()) append_line(out, h.name, h.value);
  }
  out += "\r\n";
}

}  // namespace bulkhead::front
