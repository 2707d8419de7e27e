// See access_log.h.
#include "pool/access_log.h"

#include <strings.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace bulkhead::pool {
namespace {

bool is_word(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* w) { return strcasecmp(text.c_str(), w) == 0; });
}

std::string number(const char* format, double value) {
  char text[64];
  snprintf(text, sizeof text, format, value);
  return text;
}

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

std::string format_time(const std::string& format, int64_t epoch) {
  const time_t seconds = epoch;
  tm local{};
  localtime_r(&seconds, &local);
  char text[129];
  const char* f = format.empty() ? "%d/%b/%Y:%H:%M:%S %z" : format.c_str();
  return {text, strftime(text, sizeof text - 1, f, &local)};
}

std::string cpu_percent(const std::string& part, const WorkerRecord& r) {
  if (r.duration_us == 0) return "0.00";
  uint64_t us = r.cpu_us;
  if (is_word(part, {"user"})) us = r.cpu_user_us;
  if (is_word(part, {"system"})) us = r.cpu_us - std::min(r.cpu_us, r.cpu_user_us);
  return number("%.2f", 100.0 * static_cast<double>(us) / static_cast<double>(r.duration_us));
}

std::string duration(const std::string& unit, uint64_t us) {
  if (unit.empty() || is_word(unit, {"seconds"}))
    return number("%.3f", static_cast<double>(us) / 1e6);
  if (is_word(unit, {"milliseconds", "milli", "miliseconds", "mili"})) {
    return number("%.3f", static_cast<double>(us) / 1e3);
  }
  return std::to_string(us);
}

std::string memory(const std::string& unit, uint64_t bytes) {
  if (is_word(unit, {"kilobytes", "kilo"})) return std::to_string(bytes / 1024);
  if (is_word(unit, {"megabytes", "mega"})) return std::to_string(bytes / 1024 / 1024);
  return std::to_string(bytes);
}

}  // namespace

Status AccessFormat::check(const Token& t) {
  const std::string braces = "('" + t.text + "')";
  switch (t.kind) {
    case 'C':
      if (t.text.empty() || is_word(t.text, {"total", "user", "system"})) return {};
      return fail("only 'total', 'user' or 'system' are allowed as a modifier for %C " + braces);
    case 'd':
      if (t.text.empty() || is_word(t.text, {"seconds", "milliseconds", "milli", "miliseconds",
                                             "mili", "microseconds", "micro"})) {
        return {};
      }
      return fail(
          "only 'seconds', 'milli', 'milliseconds', 'micro' or 'microseconds' are allowed as a "
          "modifier for %d " +
          braces);
    case 'M':
      if (t.text.empty() || is_word(t.text, {"bytes", "kilobytes", "kilo", "megabytes", "mega"})) {
        return {};
      }
      return fail(
          "only 'bytes', 'kilo', 'kilobytes', 'mega' or 'megabytes' are allowed as a modifier for "
          "%M " +
          braces);
    case 'e':
      if (!t.text.empty()) return {};
      return fail("the name of the environment variable must be set between embraces for %e");
    case 'o':
      if (!t.text.empty()) return {};
      return fail("the name of the header must be set between embraces for %o");
    case 't':
    case 'T':
      return {};
    default:
      break;
  }
  if (std::string_view("%flmnpPqQrRsu").find(t.kind) == std::string_view::npos) {
    return fail(std::string("Invalid token in the access.format (%") + t.kind + ")");
  }
  if (t.text.empty()) return {};
  return fail(std::string("embrace is not allowed for modifier %") + t.kind);
}

Result<AccessFormat> AccessFormat::parse(std::string_view format) {
  AccessFormat result;
  std::string literal;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      literal += format[i];
      continue;
    }
    if (!literal.empty()) result.tokens_.push_back({0, std::exchange(literal, {})});
    Token token{0, ""};
    if (++i < format.size() && format[i] == '{') {
      const size_t close = format.find('}', i);
      if (close == std::string_view::npos || close + 1 >= format.size()) {
        return fail("missing closing embrace in the access.format");
      }
      token.text = format.substr(i + 1, close - i - 1);
      i = close + 1;
    }
    if (i >= format.size()) break;
    token.kind = format[i];
    TRY_STATUS(check(token));
    result.tokens_.push_back(std::move(token));
  }
  if (!literal.empty()) result.tokens_.push_back({0, std::move(literal)});
  return result;
}

bool AccessFormat::uses_cpu() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const Token& t) { return t.kind == 'C'; });
}

std::string AccessFormat::value(const Token& t, const WorkerRecord& r, const AccessValues& v) {
  switch (t.kind) {
    case 0:
      return t.text;
    case '%':
      return "%";
    case 'C':
      return cpu_percent(t.text, r);
    case 'd':
      return duration(t.text, r.duration_us);
    case 'e': {
      const char* value = v.param(t.text);
      return value != nullptr ? value : "-";
    }
    case 'f':
      return or_dash(text_of(r.script));
    case 'l':
      return std::to_string(r.content_length);
    case 'm':
      return or_dash(text_of(r.method));
    case 'M':
      return memory(t.text, r.memory_bytes);
    case 'n':
      return or_dash(v.pool);
    case 'o':
      return or_dash(std::string(v.header(t.text)));
    case 'p':
      return std::to_string(v.pid);
    case 'P':
      return std::to_string(v.parent_pid);
    case 'q':
      return text_of(r.query);
    case 'Q':
      return r.query[0] != '\0' ? "?" : "";
    case 'r':
      return text_of(r.uri);
    case 'R':
      return v.peer.empty() ? "-" : v.peer;
    case 's':
      return std::to_string(v.status);
    case 't':
      return format_time(t.text, r.accepted_epoch);
    case 'T':
      return format_time(t.text, time(nullptr));
    case 'u':
      return text_of(r.user);
    default:
      return "";
  }
}

std::string AccessFormat::line(const WorkerRecord& record, const AccessValues& values) const {
  std::string line;
  for (const Token& token : tokens_) {
    line += value(token, record, values);
    if (line.size() >= kLineMax) {
      line.resize(kLineMax);
      break;
    }
  }
  // A value must not start a line of its own.
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (!line.empty()) line += '\n';
  return line;
}

bool is_suppressed(const std::vector<std::string>& paths, const WorkerRecord& r, int status) {
  if (paths.empty() || status < 200 || status > 299 || r.query[0] != '\0' ||
      r.content_length != 0) {
    return false;
  }
  const std::string method = text_of(r.method);
  if (method != "GET" && method != "HEAD") return false;
  return std::find(paths.begin(), paths.end(), text_of(r.uri)) != paths.end();
}

}  // namespace bulkhead::pool
