// Access and error logs: finished lines to the descriptors master opened.
//
// Runs in: front.  Input: lines already formatted and escaped (they quote hostile bytes).
// Threads: a LogBook belongs to one loop; the LogSet behind it is shared by all loops and
// immutable. Front opens no path: a log is an index into Model::log_files, and the descriptor came
// from master.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "loop/event_loop.h"
#include "sys/fd.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

// The descriptors of one configuration generation, in order of Model::log_files.
struct LogSet {
  std::vector<sys::Fd> files;
};

// Bytes of one turn's access lines after which they are written before its end.
constexpr size_t kTurnBytes = 32u << 10;

class LogBook : private loop::Poller {
 public:
  // `files`: for the targets that are no plain file (syslog).  Both live as long as the book.
  LogBook(loop::EventLoop& loop, const std::vector<config::LogFile>& files);
  ~LogBook() override;
  LogBook(const LogBook&) = delete;
  LogBook& operator=(const LogBook&) = delete;

  // New descriptors (start, USR1).  What is buffered goes to the old ones first.
  void set_files(std::shared_ptr<const LogSet> set);
  // `line` ends in a newline.  Written at the end of the loop's turn, or kept until the log's
  // buffer is full or `flush` has passed.
  void access(const config::AccessLog& log, std::string_view line);
  // Whether any of `targets` takes lines of this level; ask before formatting.
  [[nodiscard]] static bool wants(const config::List<config::ErrorLog>& targets,
                                  config::LogLevel level) {
    for (const auto& target : targets) {
      if (level <= target.level) return true;
    }
    return false;
  }
  // `line` ends in a newline and carries its own time and level.
  void error(const config::List<config::ErrorLog>& targets, config::LogLevel level,
             std::string_view line);
  void flush_all();
  // Told (if set) when lines could not be written to a file, once a minute for each.
  std::function<void(std::string_view)> on_loss;

 private:
  static constexpr int64_t kTellAgain_s = 60;
  struct Buffered {
    std::string text;
    std::unique_ptr<loop::Timer> timer;
  };
  void write_line(uint32_t file, config::LogLevel level, std::string_view line);
  void lost(uint32_t file, const sys::Moved& moved, size_t wanted);
  void flush(uint32_t file);
  bool poll() override { return false; }
  bool prepare_sleep() override { return true; }
  void end_turn() override;

  loop::EventLoop& loop_;
  const std::vector<config::LogFile>& files_;
  std::shared_ptr<const LogSet> set_;
  std::vector<Buffered> buffered_;    // by file
  std::vector<int64_t> told_;         // by file: second from which a loss is told again
  std::vector<uint32_t> turn_files_;  // with lines of this turn
};

// A syslog target as written in the configuration ("syslog:server=...,facility=local7,...").
struct SyslogTarget {
  int facility = 23;  // local7
  int severity = 6;   // info; error_log lines use their own
  bool has_severity = false;
  std::string tag = "nginx";
  bool no_hostname = false;
};
SyslogTarget parse_syslog_target(std::string_view path);
// "<190>Nov 23 12:00:00 host nginx: text", without a newline.  Ref: RFC 3164 4.1.
std::string syslog_datagram(const SyslogTarget& target, int severity, int64_t wall_seconds,
                            std::string_view hostname, std::string_view text);

}  // namespace bulkhead::front
