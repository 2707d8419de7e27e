#include "front/logs.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace bulkhead::front {
namespace {

constexpr std::string_view kSyslogPrefix = "syslog:";
constexpr std::array<std::string_view, 24> kFacilities = {
    "kern",   "user",   "mail",     "daemon", "auth",   "intern", "lpr",    "news",
    "uucp",   "clock",  "authpriv", "ftp",    "ntp",    "audit",  "alert",  "cron",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
constexpr std::array<std::string_view, 8> kSeverities = {"emerg", "alert",  "crit", "error",
                                                         "warn",  "notice", "info", "debug"};

template <size_t N>
int index_of(const std::array<std::string_view, N>& names, std::string_view name, int otherwise) {
  auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? otherwise : static_cast<int>(found - names.begin());
}

const std::string& own_hostname() {
  static const std::string name = [] {
    char buffer[256] = {};
    return std::string(::gethostname(buffer, sizeof buffer - 1) == 0 ? buffer : "localhost");
  }();
  return name;
}

}  // namespace

SyslogTarget parse_syslog_target(std::string_view path) {
  SyslogTarget out;
  path.remove_prefix(std::min(path.size(), kSyslogPrefix.size()));
  while (!path.empty()) {
    std::string_view option = path.substr(0, path.find(','));
    path.remove_prefix(std::min(path.size(), option.size() + 1));
    if (option == "nohostname") out.no_hostname = true;
    if (option.starts_with("tag=")) out.tag = option.substr(4);
    if (option.starts_with("facility=")) {
      out.facility = index_of(kFacilities, option.substr(9), out.facility);
    }
    if (option.starts_with("severity=")) {
      out.severity = index_of(kSeverities, option.substr(9), out.severity);
      out.has_severity = true;
    }
  }
  return out;
}

std::string syslog_datagram(const SyslogTarget& target, int severity, int64_t wall_seconds,
                            std::string_view hostname, std::string_view text) {
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  time_t seconds = static_cast<time_t>(wall_seconds);
  tm when{};
  ::localtime_r(&seconds, &when);
  char stamp[48];
  int size =
      ::snprintf(stamp, sizeof stamp, "<%d>%s %2d %02d:%02d:%02d ", target.facility * 8 + severity,
                 kMonths[when.tm_mon % 12], when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec);
  std::string out(stamp, static_cast<size_t>(std::clamp(size, 0, 47)));
  if (!target.no_hostname) out.append(hostname).append(" ");
  out.append(target.tag).append(": ");
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  out.append(text);
  return out;
}

LogBook::LogBook(loop::EventLoop& loop, const std::vector<config::LogFile>& files)
    : loop_(loop), files_(files), buffered_(files.size()), told_(files.size()) {
  loop_.add_poller(this);
}

LogBook::~LogBook() {
  loop_.remove_poller(this);
  on_loss = nullptr;
  flush_all();
}

void LogBook::end_turn() {
  for (uint32_t file : turn_files_) flush(file);
  turn_files_.clear();
}

void LogBook::set_files(std::shared_ptr<const LogSet> set) {
  flush_all();
  set_ = std::move(set);
}

// As nginx words it (1.22, ngx_http_log_module.c), and as often.
void LogBook::lost(uint32_t file, const sys::Moved& moved, size_t wanted) {
  const int64_t now = loop_.wall_seconds();
  if (!on_loss || now < told_[file]) return;
  told_[file] = now + kTellAgain_s;
  const std::string text = "write() to \"" + files_[file].path + "\"";
  if (!moved.ok()) return on_loss(Error{text + " failed", moved.error}.describe());
  on_loss(text + " was incomplete: " + std::to_string(moved.bytes) + " of " +
          std::to_string(wanted));
}

void LogBook::write_line(uint32_t file, config::LogLevel level, std::string_view line) {
  if (set_ == nullptr || file >= set_->files.size() || file >= files_.size()) return;
  sys::FdRef fd = set_->files[file];
  if (!fd.valid()) return;
  const std::string& path = files_[file].path;
  if (!path.starts_with(kSyslogPrefix)) [[likely]] {
    const sys::Moved moved = sys::append(fd, line.data(), line.size());
    if (moved.bytes != line.size()) [[unlikely]]
      lost(file, moved, line.size());
    return;
  }
  SyslogTarget target = parse_syslog_target(path);
  int severity = target.has_severity ? target.severity : std::max(0, static_cast<int>(level) - 1);
  std::string datagram =
      syslog_datagram(target, severity, loop_.wall_seconds(), own_hostname(), line);
  sys::append(fd, datagram.data(), datagram.size());
}

void LogBook::access(const config::AccessLog& log, std::string_view line) {
  if (log.file >= buffered_.size()) return;
  Buffered& buffered = buffered_[log.file];
  if (log.buffer_bytes == 0) {
    if (files_[log.file].path.starts_with(kSyslogPrefix)) {
      write_line(log.file, config::LogLevel::kInfo, line);
      return;
    }
    if (buffered.text.empty()) turn_files_.push_back(log.file);
    buffered.text.append(line);
    if (buffered.text.size() >= kTurnBytes) flush(log.file);
    return;
  }
  if (buffered.text.size() + line.size() > log.buffer_bytes) flush(log.file);
  if (line.size() > log.buffer_bytes) {
    write_line(log.file, config::LogLevel::kInfo, line);
    return;
  }
  buffered.text.append(line);
  if (log.flush.count() == 0) return;
  if (buffered.timer == nullptr) {
    buffered.timer = std::make_unique<loop::Timer>([this, file = log.file] { flush(file); });
  }
  if (!buffered.timer->armed()) buffered.timer->arm(loop_, log.flush);
}

void LogBook::error(const config::List<config::ErrorLog>& targets, config::LogLevel level,
                    std::string_view line) {
  for (const auto& target : targets) {
    if (level <= target.level) write_line(target.file, level, line);
  }
}

void LogBook::flush(uint32_t file) {
  Buffered& buffered = buffered_[file];
  if (buffered.timer != nullptr) buffered.timer->cancel();
  if (buffered.text.empty()) return;
  write_line(file, config::LogLevel::kInfo, buffered.text);
  buffered.text.clear();
}

void LogBook::flush_all() {
  for (uint32_t file = 0; file < buffered_.size(); ++file) flush(file);
}

}  // namespace bulkhead::front
