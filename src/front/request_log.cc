#include "front/request_log.h"

#include <unistd.h>

#include <cstring>

#include "front/plan.h"
#include "front/variables.h"
#include "http/ascii.h"

namespace bulkhead::front {

using config::LogFormat;
using config::LogLevel;

namespace {

constexpr char kHex[] = "0123456789ABCDEF";

// Most values need no escape: what stands between two escapes is copied at once.
void append_default(std::string& out, std::string_view text) {
  size_t plain = 0;  // from here on nothing is copied yet
  for (size_t i = 0; i < text.size(); ++i) {
    const auto u = static_cast<unsigned char>(text[i]);
    if (u >= 0x20 && u < 0x7f && u != '"' && u != '\\') [[likely]]
      continue;
    out += text.substr(plain, i - plain);
    out += "\\x";
    out += kHex[u >> 4];
    out += kHex[u & 15];
    plain = i + 1;
  }
  out += text.substr(plain);
}

void append_json(std::string& out, std::string_view text) {
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (u >= 0x20) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
      continue;
    }
    out += '\\';
    switch (c) {
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      case '\b':
        out += 'b';
        break;
      case '\f':
        out += 'f';
        break;
      default:
        out += "u00";
        out += kHex[u >> 4];
        out += kHex[u & 15];
    }
  }
}

// Quoted request values keep their bytes, but none can end the line.
void append_visible(std::string& out, std::string_view text) {
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      out += "\\x";
      out += kHex[u >> 4];
      out += kHex[u & 15];
    } else {
      out += c;
    }
  }
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ", ";
  out += name;
  out += ": \"";
  append_visible(out, value);
  out += '"';
}

void append_upstream(std::string& out, const Exchange& ex) {
  // While the request body is read, nobody has been asked yet.
  if (ex.tries.empty() || !ex.tries.back().asked) return;
  std::string_view address = ex.tries.back().address;
  out += ", upstream: \"fastcgi://";
  out += address;
  if (address.starts_with("unix:")) out += ':';
  out += '"';
}

}  // namespace

void append_escaped(std::string& out, std::string_view text, LogFormat::Escape how) {
  switch (how) {
    case LogFormat::Escape::kDefault:
      return append_default(out, text);
    case LogFormat::Escape::kJson:
      return append_json(out, text);
    case LogFormat::Escape::kNone:
      out += text;
  }
}

void append_access_line(std::string& out, Exchange& ex, const LogFormat& format) {
  for (const config::VarRef& ref : format.text.parts) {
    if (ref.kind == config::RefKind::kLiteral) {
      out += ref.text;
      continue;
    }
    Value value = value_of(ex, ref);
    if (value.found) {
      append_escaped(out, value.text, format.escape);
    } else if (format.escape == LogFormat::Escape::kDefault) {
      out += '-';
    }
  }
  out += '\n';
}

bool wants_access_line(Exchange& ex, const config::AccessLog& log) {
  if (!log.condition) return true;
  std::string_view value = evaluate(ex, *log.condition);
  return !value.empty() && value != "0";
}

std::string_view level_name(LogLevel level) {
  static constexpr std::string_view kNames[] = {"stderr", "emerg",  "alert", "crit", "error",
                                                "warn",   "notice", "info",  "debug"};
  return kNames[static_cast<size_t>(level)];
}

bool wants_level(const config::List<config::ErrorLog>& logs, LogLevel level) {
  for (const config::ErrorLog& log : logs) {
    if (level <= log.level) return true;
  }
  return false;
}

void append_error_line(std::string& out, const Exchange& ex, LogLevel level, std::string_view text,
                       int errno_value) {
  thread_local const std::string thread_id = std::to_string(gettid());
  size_t start = out.size();
  out += ex.ambient->times->error_log();
  out += " [";
  out += level_name(level);
  out += "] ";
  out += std::to_string(ex.ambient->pid);
  out += '#';
  out += thread_id;
  out += ": *";
  out += std::to_string(ex.connection->serial);
  out += ' ';
  size_t action = errno_value == 0 ? std::string_view::npos : text.find("\" failed while ");
  size_t before = action == std::string_view::npos ? text.size() : action + 8;
  out += text.substr(0, before);
  if (errno_value != 0) {
    out += " (";
    out += std::to_string(errno_value);
    out += ": ";
    out += strerrordesc_np(errno_value) != nullptr ? strerrordesc_np(errno_value) : "Unknown error";
    out += ')';
  }
  out += text.substr(before);
  out += ", client: ";
  out += ex.connection->peer;
  if (ex.server != nullptr) {
    out += ", server: ";
    out += ex.server->source->primary_name;
  }
  if (ex.request != nullptr) {
    append_field(out, "request", ex.request->request_line());
    append_upstream(out, ex);
    append_field(out, "host", ex.request->find_value(http::HeaderId::kHost));
    append_field(out, "referrer", ex.request->find_value(http::HeaderId::kReferer));
  }
  if (out.size() - start > kErrorLineMax - 1) out.resize(start + kErrorLineMax - 1);
  out += '\n';
}

}  // namespace bulkhead::front
