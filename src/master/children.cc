#include "master/children.h"

#include <glob.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "sys/signals.h"

namespace bulkhead::master {
namespace {

// The title of a process takes the place of its arguments and environment; this makes room.
constexpr size_t kTitleRoom = 256;

constexpr std::string_view kBareNames[] = {"TZ=",           "LANG=",         "LC_ALL=",
                                           "LC_TIME=",      "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
                                           "TSAN_OPTIONS=", "LSAN_OPTIONS=", "LD_LIBRARY_PATH="};
constexpr std::string_view kOurOwn[] = {
    "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_PID=",
    "LISTEN_FDS=",    "NGINX=",        "FPM_SOCKETS="};

template <size_t N>
bool named(std::string_view entry, const std::string_view (&names)[N]) {
  return std::any_of(std::begin(names), std::end(names),
                     [&](std::string_view name) { return entry.starts_with(name); });
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  std::string path = sys::program_directory() + "/" + name;
  if (::access(path.c_str(), X_OK) < 0) {
    return fail_errno("the program \"" + path + "\" cannot be used");
  }
  return path;
}

Result<std::string> find_php_program(const std::string& version) {
  if (!version.empty()) return find_program("bulkhead-php" + version);
  std::string pattern = sys::program_directory() + "/bulkhead-php[0-9]*";
  glob_t found{};
  std::string path;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0) {
    path = found.gl_pathv[found.gl_pathc - 1];
  }
  ::globfree(&found);
  if (path.empty()) {
    return fail("no PHP: \"" + pattern + "\" is missing (it is built when libphp is installed)");
  }
  return path;
}

std::vector<std::string> child_environment(Environment which) {
  std::vector<std::string> out;
  for (char** e = ::environ; *e != nullptr; ++e) {
    std::string_view entry(*e);
    bool wanted = which == Environment::kWhole ? !named(entry, kOurOwn) : named(entry, kBareNames);
    if (wanted) out.emplace_back(entry);
  }
  if (which == Environment::kBare) out.push_back("BULKHEAD=" + std::string(kTitleRoom, ' '));
  return out;
}

std::string describe(const sys::Ended& ended, bool with_name) {
  switch (ended.how) {
    case sys::Ended::How::kExited:
      return "exited with code " + std::to_string(ended.value);
    case sys::Ended::How::kSignalled: {
      std::string out = "exited on signal " + std::to_string(ended.value);
      if (with_name) out += " (" + sys::signal_name(ended.value) + ")";
      if (ended.core) out += with_name ? " - core dumped" : " (core dumped)";
      return out;
    }
    case sys::Ended::How::kUnknown:
      break;
  }
  return "ended";
}

std::string counted(size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

Millis Backoff::ended(Millis lived) {
  if (lived >= kHealthy) {
    delay_ = Millis(0);
    left_ = at_once_;
  }
  if (left_ > 0) {
    --left_;
    return Millis(0);
  }
  delay_ = delay_ == Millis(0) ? kFirst : std::min(delay_ * 2, kLongest);
  return delay_;
}

void Reaper::collect() {
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    auto at = watched_.find(pid);
    if (at == watched_.end()) continue;
    OnEnded on_ended = std::move(at->second);
    watched_.erase(at);
    sys::Ended ended;
    if (WIFEXITED(status)) {
      ended = {sys::Ended::How::kExited, WEXITSTATUS(status), false};
    } else if (WIFSIGNALED(status)) {
      ended = {sys::Ended::How::kSignalled, WTERMSIG(status), WCOREDUMP(status) != 0};
    }
    on_ended(ended);
  }
}

}  // namespace bulkhead::master
