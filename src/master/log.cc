#include "master/log.h"

#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "sys/files.h"

namespace bulkhead::master {
namespace {

constexpr sys::FdRef kStandardError(2);
constexpr size_t kRememberedMax = 1024;  // bytes of first_error()

constexpr std::string_view kLevelNames[] = {"stderr", "emerg",  "alert", "crit", "error",
                                            "warn",   "notice", "info",  "debug"};
constexpr std::string_view kFpmNames[] = {"", "DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"};
constexpr int kSyslogLevels[] = {LOG_NOTICE,  LOG_DEBUG, LOG_NOTICE,
                                 LOG_WARNING, LOG_ERR,   LOG_ALERT};

struct Facility {
  std::string_view name;
  int value;
};
constexpr Facility kFacilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"kern", LOG_KERN},
    {"lpr", LOG_LPR},       {"mail", LOG_MAIL},         {"news", LOG_NEWS},
    {"syslog", LOG_SYSLOG}, {"user", LOG_USER},         {"uucp", LOG_UUCP},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

std::string local_time(int64_t seconds, const char* form) {
  time_t t = static_cast<time_t>(seconds);
  tm parts{};
  ::localtime_r(&t, &parts);
  char text[64];
  size_t n = ::strftime(text, sizeof text, form, &parts);
  return std::string(text, n);
}

std::string fpm_prefix(FpmLevel level, const FpmFormat& format, Moment when) {
  std::string out;
  if (format.stamped) {
    out = "[" + local_time(when.seconds, "%d-%b-%Y %H:%M:%S");
    if (format.debug) {
      char micros[16];
      std::snprintf(micros, sizeof micros, ".%06u", when.micros);
      out += micros;
    }
    out += "] ";
  }
  out.append(kFpmNames[static_cast<size_t>(level)]).append(": ");
  if (format.debug) {
    out += "pid " + std::to_string(format.pid) + ", bulkhead_master(), line 1: ";
  }
  return out;
}

// Splits 'child 7 said into stderr: "text", pipe is closed' into what stands around the text.
bool split_worker_output(std::string_view text, std::string_view* before, std::string_view* body,
                         std::string_view* after) {
  size_t said = text.find(" said into std");
  if (said == std::string_view::npos) return false;
  size_t open = text.find(": \"", said), close = text.rfind('"');
  if (open == std::string_view::npos || close < open + 3) return false;
  *before = text.substr(0, open + 3);
  *body = text.substr(open + 3, close - open - 3);
  *after = text.substr(close);
  return true;
}

}  // namespace

Moment Moment::now() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return {t.tv_sec, static_cast<uint32_t>(t.tv_nsec / 1000)};
}

std::string_view level_name(LogLevel level) { return kLevelNames[static_cast<size_t>(level)]; }

std::string nginx_line(LogLevel level, std::string_view text, pid_t pid, Moment when) {
  std::string out = local_time(when.seconds, "%Y/%m/%d %H:%M:%S");
  std::string number = std::to_string(pid);
  out.append(" [").append(level_name(level)).append("] ");
  out.append(number).append("#").append(number).append(": ").append(text).append("\n");
  return out;
}

std::vector<std::string> fpm_lines(FpmLevel level, std::string_view text, const FpmFormat& format,
                                   Moment when) {
  std::string prefix = fpm_prefix(level, format, when);
  if (prefix.size() + text.size() + 1 <= format.limit) {
    return {prefix.append(text).append("\n")};
  }
  std::string_view before, body, after;
  if (!split_worker_output(text, &before, &body, &after) ||
      prefix.size() + before.size() + after.size() + 2 > format.limit) {
    std::string line = prefix.append(text);
    line.resize(format.limit > 4 ? format.limit - 4 : 0);
    return {line + "...\n"};
  }
  std::vector<std::string> lines;
  // The last piece carries what follows the text; the others end in a quote.
  size_t room = format.limit - prefix.size() - before.size() - 2;
  size_t last_room = format.limit - prefix.size() - before.size() - after.size() - 1;
  while (body.size() > last_room) {
    size_t take = std::min(room, body.size());
    lines.push_back(prefix + std::string(before) + std::string(body.substr(0, take)) + "\"\n");
    body.remove_prefix(take);
  }
  if (!body.empty()) {
    lines.push_back(prefix + std::string(before) + std::string(body) + std::string(after) + "\n");
  }
  return lines;
}

std::string clean(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (unsigned char c : text) {
    if ((c < 0x20 && c != '\t') || c == 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02X", c);
      out += hex;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

Log::~Log() {
  if (fpm_.syslog) ::closelog();
}

void Log::set_fpm(FpmSink sink, const std::string& ident, const std::string& facility) {
  if (fpm_.syslog) ::closelog();
  fpm_ = std::move(sink);
  fpm_set_ = true;
  if (!fpm_.syslog) return;
  ident_ = ident;  // openlog() keeps the pointer
  int value = LOG_DAEMON;
  for (const Facility& f : kFacilities) {
    if (f.name == facility) value = f.value;
  }
  ::openlog(ident_.c_str(), LOG_CONS | LOG_PID, value);
}

void Log::remember(std::string_view text) {
  if (first_error_.empty()) first_error_ = text.substr(0, kRememberedMax);
}

void Log::nginx_as(pid_t pid, LogLevel level, std::string_view text) {
  if (pid == 0 && level <= LogLevel::kError) remember(text);
  std::string line = nginx_line(level, text, pid == 0 ? ::getpid() : pid, Moment::now());
  bool on_stderr = false;
  for (const NginxSink& sink : nginx_) {
    if (level > sink.level) continue;
    sys::write_all(sink.fd, line);
  }
  if (!nginx_set_ && plain_stderr_ && level <= LogLevel::kNotice) {
    sys::write_all(kStandardError, line);
    on_stderr = true;
  }
  if (!starting_ || on_stderr || level > LogLevel::kWarn) return;
  std::string brief = person_ ? "bulkhead: [" : "nginx: [";
  brief.append(level_name(level)).append("] ").append(text).append("\n");
  sys::write_all(kStandardError, brief);
}

void Log::write_fpm(const std::string& line, FpmLevel level) {
  if (fpm_.syslog) {
    ::syslog(kSyslogLevels[static_cast<size_t>(level)], "%s", line.c_str());
  } else if (fpm_.fd.valid()) {
    sys::write_all(fpm_.fd, line);
  } else {
    sys::write_all(kStandardError, line);
  }
  // While starting, whoever typed the command sees errors even when the log is a file.
  bool elsewhere = fpm_.syslog || fpm_.fd.valid();
  if (starting_ && elsewhere && level >= FpmLevel::kNotice) sys::write_all(kStandardError, line);
}

void Log::fpm(FpmLevel level, std::string_view text) {
  if (level >= FpmLevel::kError) remember(text);
  if (level < fpm_.level) return;
  FpmFormat format{fpm_.limit, fpm_.level == FpmLevel::kDebug, !fpm_.syslog, ::getpid()};
  for (const std::string& line : fpm_lines(level, text, format, Moment::now())) {
    write_fpm(line, level);
  }
}

void Log::fpm_raw(std::string_view text) {
  size_t room = std::max<size_t>(fpm_.limit, 2) - 1;
  do {
    write_fpm(std::string(text.substr(0, room)) + "\n", FpmLevel::kNotice);
    text.remove_prefix(std::min(room, text.size()));
  } while (!text.empty());
}

void Log::person(std::string_view text) {
  if (person_) sys::write_all(kStandardError, "bulkhead: " + std::string(text) + "\n");
}

}  // namespace bulkhead::master
