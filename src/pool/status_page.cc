// See status_page.h.
#include "pool/status_page.h"

#include <cstdio>
#include <ctime>
#include <vector>

#include "base/html.h"

namespace bulkhead::pool {
namespace {

constexpr const char* kExpires = "Expires: Thu, 01 Jan 1970 00:00:00 GMT";
constexpr const char* kNoCache = "Cache-Control: no-cache, no-store, must-revalidate, max-age=0";

// Length of a valid UTF-8 sequence at `at` and its code point; 0 when it is none.
size_t decode_utf8(std::string_view text, size_t at, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || at + size > text.size()) return 0;
  *code = byte(0) & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (*code < kLeast[size] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) return 0;
  return size;
}

void append_unit(std::string& out, uint32_t unit) {
  char text[8];
  snprintf(text, sizeof text, "\\u%04x", unit);
  out += text;
}

// As json_encode() writes a string; invalid UTF-8 is left out.
std::string escape_json(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    uint32_t code = 0;
    if (c >= 0x80) {
      const size_t size = decode_utf8(text, i, &code);
      i += size == 0 ? 1 : size;
      if (size == 0) continue;
      if (code >= 0x10000) {
        append_unit(out, 0xd800 + ((code - 0x10000) >> 10));
        append_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
      } else {
        append_unit(out, code);
      }
      continue;
    }
    ++i;
    constexpr std::string_view kPlain = "\"\\/\b\f\n\r\t", kLetters = "\"\\/bfnrt";
    const size_t at = c == 0 ? std::string_view::npos : kPlain.find(static_cast<char>(c));
    if (at != std::string_view::npos) {
      out.append("\\").append(1, kLetters[at]);
    } else if (c < 0x20) {
      append_unit(out, c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

std::string format_time(const char* format, int64_t epoch) {
  const time_t seconds = epoch;
  tm local{};
  localtime_r(&seconds, &local);
  char text[64];
  return {text, strftime(text, sizeof text, format, &local)};
}

// One number of the pool: its names in the five formats, and how OpenMetrics describes it.
struct Field {
  const char* name;    // "accepted conn"
  const char* metric;  // phpfpm_...
  const char* kind;    // gauge or counter
  const char* help;
  uint64_t value;
};

std::vector<Field> fields(const php::PoolStatus& s) {
  return {
      {"start since", "start_since", "counter", "The number of seconds since FPM has started.",
       static_cast<uint64_t>(s.now_epoch - s.start_epoch)},
      {"accepted conn", "accepted_connections", "counter",
       "The number of requests accepted by the pool.", s.accepted},
      {"listen queue", "listen_queue", "gauge",
       "The number of requests in the queue of pending connections.", s.queue},
      {"max listen queue", "max_listen_queue", "counter",
       "The maximum number of requests in the queue of pending connections since FPM has started.",
       s.queue_max},
      {"listen queue len", "listen_queue_length", "gauge",
       "The size of the socket queue of pending connections.", s.queue_size},
      {"idle processes", "idle_processes", "gauge", "The number of idle processes.", s.idle},
      {"active processes", "active_processes", "gauge", "The number of active processes.",
       s.active},
      {"total processes", "total_processes", "gauge", "The number of idle + active processes.",
       s.idle + s.active},
      {"max active processes", "max_active_processes", "counter",
       "The maximum number of active processes since FPM has started.", s.active_max},
      {"max children reached", "max_children_reached", "counter",
       "The number of times, the process limit has been reached, when pm tries to start more "
       "children (works only for pm 'dynamic' and 'ondemand').",
       s.max_children_reached},
      {"slow requests", "slow_requests", "counter",
       "The number of requests that exceeded your 'request_slowlog_timeout' value.",
       s.slow_requests},
  };
}

std::string dashed(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == ' ') c = '-';
  }
  return out;
}

// What one worker shows, in order: name and value, the value ready for `format`.
struct Item {
  const char* name;
  std::string value;
  bool quoted;  // a string in JSON
};

std::vector<Item> items(const php::WorkerStatus& w, int64_t now, StatusFormat format,
                        const char* time_format) {
  const auto text = [&](const std::string& value) {
    const std::string& shown = value.empty() ? "-" : value;
    if (format == StatusFormat::kJson) return escape_json(shown);
    if (format == StatusFormat::kText) return shown;
    std::string escaped;
    append_html_escaped(escaped, shown);
    return escaped;
  };
  char cpu[32];
  snprintf(cpu, sizeof cpu, "%.2f", w.cpu_percent);
  const std::string uri = (w.uri.empty() ? "-" : w.uri) + (w.query.empty() ? "" : "?" + w.query);
  return {
      {"pid", std::to_string(w.pid), false},
      {"state", text(w.state), true},
      {"start time", format_time(time_format, w.start_epoch), false},
      {"start since", std::to_string(now - w.start_epoch), false},
      {"requests", std::to_string(w.requests), false},
      {"request duration", std::to_string(w.duration_us), false},
      {"request method", text(w.method), true},
      {"request uri", text(uri), true},
      {"content length", std::to_string(w.content_length), false},
      {"user", text(w.user), true},
      {"script", text(w.script), true},
      {"last request cpu", cpu, false},
      {"last request memory", std::to_string(w.memory_bytes), false},
  };
}

void append_padded(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(":");
  out.append(name.size() + 1 < 22 ? 22 - name.size() - 1 : 1, ' ');
  out.append(value).append("\n");
}

std::string text_page(const php::PoolStatus& s, bool full) {
  constexpr const char* kTime = "%d/%b/%Y:%H:%M:%S %z";
  std::string out;
  append_padded(out, "pool", s.pool);
  append_padded(out, "process manager", s.manager);
  append_padded(out, "start time", format_time(kTime, s.start_epoch));
  for (const Field& f : fields(s)) append_padded(out, f.name, std::to_string(f.value));
  if (!full) return out;
  for (const auto& w : s.workers) {
    out += "\n************************\n";
    for (const Item& i : items(w, s.now_epoch, StatusFormat::kText, kTime)) {
      append_padded(out, std::string_view(i.name) == "request uri" ? "request URI" : i.name,
                    i.value);
    }
  }
  return out;
}

std::string html_page(const php::PoolStatus& s, bool full) {
  constexpr const char* kTime = "%d/%b/%Y:%H:%M:%S %z";
  std::string out =
      "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" "
      "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n"
      "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
      "<head><title>PHP-FPM Status Page</title></head>\n<body>\n<table>\n";
  const auto row = [&](std::string_view name, std::string_view value) {
    out.append("<tr><th>").append(name).append("</th><td>").append(value).append("</td></tr>\n");
  };
  row("pool", s.pool);
  row("process manager", s.manager);
  row("start time", format_time(kTime, s.start_epoch));
  for (const Field& f : fields(s)) row(f.name, std::to_string(f.value));
  out += "</table>\n";
  if (!full) return out + "</body></html>";
  out += "<table border=\"1\">\n<tr>";
  for (const Item& i : items({}, 0, StatusFormat::kHtml, kTime)) {
    out.append("<th>").append(i.name).append("</th>");
  }
  out += "</tr>\n";
  for (const auto& w : s.workers) {
    out += "<tr>";
    for (const Item& i : items(w, s.now_epoch, StatusFormat::kHtml, kTime)) {
      out.append("<td>").append(i.value).append("</td>");
    }
    out += "</tr>\n";
  }
  return out + "</table></body></html>";
}

std::string xml_page(const php::PoolStatus& s, bool full) {
  std::string out = "<?xml version=\"1.0\" ?>\n<status>\n";
  const auto element = [&](std::string_view name, std::string_view value, const char* end) {
    const std::string tag = dashed(name);
    out.append("<").append(tag).append(">").append(value).append("</").append(tag).append(">");
    out.append(end);
  };
  element("pool", s.pool, "\n");
  element("process manager", s.manager, "\n");
  element("start time", std::to_string(s.start_epoch), "\n");
  for (const Field& f : fields(s)) element(f.name, std::to_string(f.value), "\n");
  if (!full) return out + "</status>";
  out += "<processes>\n";
  for (const auto& w : s.workers) {
    out += "<process>";
    for (const Item& i : items(w, s.now_epoch, StatusFormat::kXml, "%s")) {
      element(i.name, i.value, "");
    }
    out += "</process>\n";
  }
  return out + "</processes>\n</status>";
}

std::string json_page(const php::PoolStatus& s, bool full) {
  std::string out = "{\"pool\":\"" + escape_json(s.pool) + "\",\"process manager\":\"" + s.manager +
                    "\",\"start time\":" + std::to_string(s.start_epoch);
  for (const Field& f : fields(s)) {
    out.append(",\"").append(f.name).append("\":").append(std::to_string(f.value));
  }
  if (!full) return out + "}";
  out += ", \"processes\":[";
  for (size_t n = 0; n < s.workers.size(); ++n) {
    out += n == 0 ? "{" : ",{";
    bool first = true;
    for (const Item& i : items(s.workers[n], s.now_epoch, StatusFormat::kJson, "%s")) {
      out.append(first ? "\"" : ",\"").append(i.name).append(i.quoted ? "\":\"" : "\":");
      out.append(i.value).append(i.quoted ? "\"" : "");
      first = false;
    }
    out += "}";
  }
  return out + "]}";
}

std::string openmetrics_page(const php::PoolStatus& s) {
  std::string out = "# HELP phpfpm_up Could pool " + s.pool + " using a " + s.manager +
                    " PM on PHP-FPM be reached?\n# TYPE phpfpm_up gauge\nphpfpm_up 1\n";
  for (const Field& f : fields(s)) {
    const std::string name = std::string("phpfpm_") + f.metric;
    const std::string help = "# HELP " + name + " " + f.help + "\n";
    const std::string type = "# TYPE " + name + " " + f.kind + "\n";
    // php-fpm has these two lines the other way round for this one.
    const bool swapped = std::string_view(f.metric) == "listen_queue_length";
    out += (swapped ? type + help : help + type) + name + " " + std::to_string(f.value) + "\n";
  }
  return out + "# EOF\n";
}

}  // namespace

StatusQuery parse_status_query(std::string_view query) {
  bool html = false, xml = false, json = false, metrics = false;
  StatusQuery q;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view name = query.substr(0, std::min(query.find('='), end));
    html |= name == "html";
    xml |= name == "xml";
    json |= name == "json";
    metrics |= name == "openmetrics";
    q.full |= name == "full";
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  q.format = html      ? StatusFormat::kHtml
             : xml     ? StatusFormat::kXml
             : json    ? StatusFormat::kJson
             : metrics ? StatusFormat::kOpenMetrics
                       : StatusFormat::kText;
  return q;
}

php::Answer status_answer(const php::PoolStatus& status, StatusQuery query, bool head_only) {
  php::Answer a;
  a.headers = {kExpires, kNoCache};
  if (head_only) return a;
  switch (query.format) {
    case StatusFormat::kText:
      a.headers.emplace_back("Content-Type: text/plain");
      a.body = text_page(status, query.full);
      break;
    case StatusFormat::kHtml:
      a.headers.emplace_back("Content-Type: text/html");
      a.body = html_page(status, query.full);
      break;
    case StatusFormat::kXml:
      a.headers.emplace_back("Content-Type: text/xml");
      a.body = xml_page(status, query.full);
      break;
    case StatusFormat::kJson:
      a.headers.emplace_back("Content-Type: application/json");
      a.body = json_page(status, query.full);
      break;
    case StatusFormat::kOpenMetrics:
      a.headers.emplace_back(
          "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8");
      a.body = openmetrics_page(status);
      break;
  }
  return a;
}

php::Answer ping_answer(const std::string& response) {
  return {200, {"Content-Type: text/plain", kExpires, kNoCache}, response};
}

}  // namespace bulkhead::pool
