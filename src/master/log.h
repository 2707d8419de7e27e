// The two logs of the server: nginx's error log and php-fpm's, line for line as those programs
// write them.
//
// Runs in: master.  Input: our own texts; lines of workers (hostile: cleaned here).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "config/pool_config.h"
#include "sys/fd.h"

namespace bulkhead::master {

using config::FpmLevel;
using config::LogLevel;

// When a line was written; injected so that tests need no clock.
struct Moment {
  int64_t seconds = 0;
  uint32_t micros = 0;
  static Moment now();
};

// "2026/11/23 12:26:22 [notice] 27232#27232: text\n"
[[nodiscard]] std::string nginx_line(LogLevel level, std::string_view text, pid_t pid, Moment when);
[[nodiscard]] std::string_view level_name(LogLevel level);

struct FpmFormat {
  size_t limit = 1024;  // log_limit: bytes of a line with its newline
  bool debug = false;   // log_level = debug: microseconds, pid and place are shown
  bool stamped = true;  // false for syslog: it adds its own time
  pid_t pid = 0;
};
// "[23-Nov-2026 12:26:28] NOTICE: text\n".  A worker's output ('child N said into stderr: "..."')
// that is too long becomes several lines; any other text is cut and ends in "...".
[[nodiscard]] std::vector<std::string> fpm_lines(FpmLevel level, std::string_view text,
                                                 const FpmFormat& format, Moment when);
// Control bytes, which a site could use to forge log lines, become "\xNN".
[[nodiscard]] std::string clean(std::string_view text);

class Log {
 public:
  struct NginxSink {
    sys::FdRef fd;  // the owner keeps it open while the sink is set
    LogLevel level = LogLevel::kError;
  };
  struct FpmSink {
    sys::Fd fd;  // invalid: standard error
    bool syslog = false;
    FpmLevel level = FpmLevel::kNotice;
    size_t limit = 1024;
  };
  ~Log();

  // Until configured, lines go to standard error.
  void set_nginx(std::vector<NginxSink> sinks) { nginx_ = std::move(sinks), nginx_set_ = true; }
  void set_fpm(FpmSink sink, const std::string& ident, const std::string& facility);
  // While starting, warnings and worse also appear on standard error.
  void set_starting(bool starting) { starting_ = starting; }
  // nginx's first log is standard error with full lines (-e stderr), or short "nginx: [emerg] ".
  void set_plain_stderr(bool plain) { plain_stderr_ = plain; }

  void nginx(LogLevel level, std::string_view text) { nginx_as(0, level, text); }
  // In the name of another process (a worker that writes no log of its own life); 0: ours.
  void nginx_as(pid_t pid, LogLevel level, std::string_view text);
  void fpm(FpmLevel level, std::string_view text);
  void fpm(const config::FpmMessage& message) {
    message.raw ? fpm_raw(message.text) : fpm(message.level, message.text);
  }
  // A line of a worker whose pool has decorate_workers_output off: as it is.
  void fpm_raw(std::string_view text);
  // One readable line for the person who typed `bulkhead serve`.
  void person(std::string_view text);
  // What the first line of level error or worse said since the last forget_error(); "": none did.
  // For whoever asked for something that failed, and reads no log.
  [[nodiscard]] const std::string& first_error() const { return first_error_; }
  void forget_error() { first_error_.clear(); }
  // Whose name short lines on standard error carry: "bulkhead: " instead of "nginx: ".
  void set_person(bool on) { person_ = on; }

 private:
  void write_fpm(const std::string& line, FpmLevel level);
  std::vector<NginxSink> nginx_;
  bool nginx_set_ = false;
  FpmSink fpm_;
  void remember(std::string_view text);
  std::string ident_, first_error_;
  bool starting_ = true, plain_stderr_ = true, person_ = false, fpm_set_ = false;
};

}  // namespace bulkhead::master
