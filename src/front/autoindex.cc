#include "front/autoindex.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/html.h"
#include "front/request_log.h"
#include "front/steps.h"
#include "front/variables.h"
#include "http/ascii.h"
#include "http/date.h"
#include "http/uri.h"
#include "ipc/site_channel.h"

namespace bulkhead::front {

using Format = config::LocConf::AutoindexFormat;

namespace {

constexpr size_t kNameColumn = 50;             // characters of a name shown in HTML
constexpr size_t kListingBytesMax = 3u << 20;  // an opener sends less: opener/file_ops.h
constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

// The first `count` characters of UTF-8 text.
std::string_view first_characters(std::string_view text, size_t count) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (starts_character(text[i]) && count-- == 0) return text.substr(0, i);
  }
  return text;
}

void append_scaled(std::string& out, uint64_t size) {
  constexpr uint64_t kK = 1024, kM = kK * 1024, kG = kM * 1024;
  char buffer[32];
  auto rounded = [size](uint64_t unit) {
    return size / unit + (size % unit > unit / 2 - 1 ? 1 : 0);
  };
  if (size > kG - 1) {
    snprintf(buffer, sizeof buffer, "%6lluG", static_cast<unsigned long long>(rounded(kG)));
  } else if (size > kM - 1) {
    snprintf(buffer, sizeof buffer, "%6lluM", static_cast<unsigned long long>(rounded(kM)));
  } else if (size > 9999) {
    snprintf(buffer, sizeof buffer, "%6lluK", static_cast<unsigned long long>(rounded(kK)));
  } else {
    snprintf(buffer, sizeof buffer, " %6llu", static_cast<unsigned long long>(size));
  }
  out += buffer;
}

void append_html_entry(std::string& out, const DirectoryEntry& e, const ListingStyle& style) {
  out += "<a href=\"";
  http::append_escaped(out, e.name, http::Escape::kComponent);
  if (e.is_dir) out += '/';
  out += "\">";
  size_t width = style.utf8 ? characters(e.name) : e.name.size();
  if (width > kNameColumn) {
    append_html_escaped(out, style.utf8 ? first_characters(e.name, kNameColumn - 3)
                                        : std::string_view(e.name).substr(0, kNameColumn - 3));
    out += "..&gt;</a>";
  } else {
    append_html_escaped(out, e.name);
    if (e.is_dir && width < kNameColumn) {
      out += '/';
      ++width;
    }
    out += "</a>";
    if (width < kNameColumn) out.append(kNameColumn - width, ' ');
  }
  int64_t when = e.mtime + (style.local_time ? http::local_offset(e.mtime) : 0);
  http::CivilTime t = http::civil_time(when);
  char buffer[64];
  snprintf(buffer, sizeof buffer, " %02d-%s-%lld %02d:%02d ", t.day, kMonths[t.month - 1],
           static_cast<long long>(t.year), t.hour, t.minute);
  out += buffer;
  if (style.exact_size) {
    if (e.is_dir) {
      out.append(18, ' ');
      out += '-';
    } else {
      snprintf(buffer, sizeof buffer, "%19llu", static_cast<unsigned long long>(e.size));
      out += buffer;
    }
  } else if (e.is_dir) {
    out += "      -";
  } else {
    append_scaled(out, e.size);
  }
  out += "\r\n";
}

void append_html(std::string& out, const std::vector<DirectoryEntry>& entries, std::string_view uri,
                 const ListingStyle& style) {
  out += "<html>\r\n<head><title>Index of ";
  append_html_escaped(out, uri);
  out += "</title></head>\r\n<body>\r\n<h1>Index of ";
  append_html_escaped(out, uri);
  out += "</h1><hr><pre><a href=\"../\">../</a>\r\n";
  for (const DirectoryEntry& e : entries) append_html_entry(out, e, style);
  out += "</pre><hr></body>\r\n</html>\r\n";
}

void append_xml(std::string& out, const std::vector<DirectoryEntry>& entries) {
  out += "<?xml version=\"1.0\"?>\r\n<list>\r\n";
  char buffer[96];
  for (const DirectoryEntry& e : entries) {
    http::CivilTime t = http::civil_time(e.mtime);
    snprintf(buffer, sizeof buffer, "<%s mtime=\"%lld-%02d-%02dT%02d:%02d:%02dZ\"",
             e.is_dir ? "directory" : "file", static_cast<long long>(t.year), t.month, t.day,
             t.hour, t.minute, t.second);
    out += buffer;
    if (!e.is_dir) out += " size=\"" + std::to_string(e.size) + "\"";
    out += '>';
    append_html_escaped(out, e.name);
    out += e.is_dir ? "</directory>\r\n" : "</file>\r\n";
  }
  out += "</list>\r\n";
}

void append_json(std::string& out, const std::vector<DirectoryEntry>& entries,
                 std::string_view callback) {
  if (!callback.empty()) {
    out += "/* callback */\r\n";
    out += callback;
    out += '(';
  }
  out += "[\r\n";
  bool first = true;
  for (const DirectoryEntry& e : entries) {
    if (!first) out += ",\r\n";
    first = false;
    out += "{ \"name\":\"";
    append_escaped(out, e.name, config::LogFormat::Escape::kJson);
    out += e.is_dir ? "\", \"type\":\"directory\", \"mtime\":\""
                    : "\", \"type\":\"file\", \"mtime\":\"";
    out += http::http_date(e.mtime);
    out += '"';
    if (!e.is_dir) out += ", \"size\":" + std::to_string(e.size);
    out += " }";
  }
  out += "\r\n]";
  if (!callback.empty()) out += ");";
}

// The callback of JSONP: letters, digits, '_', '.', and brackets; anything else means plain JSON.
std::string_view callback_of(std::string_view args) {
  Value value = argument(args, "callback");
  if (!value.found || value.text.empty() || value.text.size() > 128) return {};
  for (char c : value.text) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '.';
    if (!good) return {};
  }
  return value.text;
}

}  // namespace

bool read_listing(std::string_view bytes, std::vector<DirectoryEntry>* out) {
  while (!bytes.empty()) {
    ipc::ListEntry head;
    if (bytes.size() < sizeof head) return false;
    memcpy(&head, bytes.data(), sizeof head);
    bytes.remove_prefix(sizeof head);
    if (head.name_size == 0 || head.name_size > bytes.size()) return false;
    std::string_view name = bytes.substr(0, head.name_size);
    bytes.remove_prefix(head.name_size);
    if (name.starts_with('.') || name.find('/') != std::string_view::npos) continue;
    out->push_back({name, head.size, head.mtime, head.is_dir != 0});
  }
  return true;
}

void sort_listing(std::vector<DirectoryEntry>* entries) {
  std::sort(entries->begin(), entries->end(), [](const DirectoryEntry& a, const DirectoryEntry& b) {
    return a.is_dir != b.is_dir ? a.is_dir : a.name < b.name;
  });
}

void append_listing(std::string& out, const std::vector<DirectoryEntry>& entries,
                    std::string_view uri, const ListingStyle& style) {
  switch (style.format) {
    case Format::kHtml:
      return append_html(out, entries, uri, style);
    case Format::kXml:
      return append_xml(out, entries);
    case Format::kJson:
      return append_json(out, entries, "");
    case Format::kJsonp:
      return append_json(out, entries, style.callback);
  }
}

std::string_view listing_type(Format format) {
  switch (format) {
    case Format::kXml:
      return "text/xml";
    case Format::kJson:
      return "application/json";
    case Format::kJsonp:
      return "application/javascript";
    case Format::kHtml:
      break;
  }
  return "text/html";
}

Next Steps::send_listing(Exchange& ex, const FileRef& listing, std::string_view path) {
  struct stat st {};
  std::string bytes;
  int fd = listing->fd.get();
  bool good =
      fstat(fd, &st) == 0 && st.st_size >= 0 && static_cast<size_t>(st.st_size) <= kListingBytesMax;
  if (good) {
    bytes.resize(static_cast<size_t>(st.st_size));
    size_t have = 0;
    while (have < bytes.size()) {
      ssize_t n = pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
      if (n <= 0) break;
      have += static_cast<size_t>(n);
    }
    good = have == bytes.size();
  }
  std::vector<DirectoryEntry> entries;
  if (!good || !read_listing(bytes, &entries)) {
    log(ex, config::LogLevel::kCrit, "readdir() \"" + std::string(path) + "\" failed", EIO);
    return fail(ex, 500);
  }
  sort_listing(&entries);
  const config::LocConf& conf = ex.conf();
  ListingStyle style{conf.autoindex_format,
                     conf.autoindex_exact_size,
                     conf.autoindex_localtime,
                     http::iequals(conf.charset, "utf-8"),
                     {}};
  Response& r = ex.response;
  if (style.format == Format::kJsonp) {
    style.callback = callback_of(ex.args);
    if (style.callback.empty()) style.format = Format::kJson;
  }
  r.body_text.clear();
  append_listing(r.body_text, entries, ex.uri, style);
  r.status = 200;
  r.content_type = listing_type(style.format);
  if (style.format == Format::kXml) r.charset = "utf-8";
  r.content_length = -1;  // nginx streams listings
  r.body = BodyKind::kPieces;
  r.pieces.clear();
  r.pieces.push_back({r.body_text, 0, 0});
  return respond(ex);
}

}  // namespace bulkhead::front
