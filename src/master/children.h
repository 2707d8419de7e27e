// What all of master's children have in common: how they are found, started, waited for, and how
// soon they are started again.
//
// Runs in: master.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/process.h"

namespace bulkhead::master {

using Millis = std::chrono::milliseconds;

// The path of one of our programs, beside this one.  Errors: it is missing.
[[nodiscard]] Result<std::string> find_program(const std::string& name);
// "bulkhead-php8.2": the newest there is, or the version asked for.
[[nodiscard]] Result<std::string> find_php_program(const std::string& version);

enum class Environment : uint8_t {
  kWhole,  // PHP may pass it on (clear_env = no)
  kBare,   // only what libraries need: TZ, locale, sanitizer options
};
// The environment of a child, with room for its title.
[[nodiscard]] std::vector<std::string> child_environment(Environment which);

// "exited with code 1", "exited on signal 9 (SIGKILL)"; nginx's form has no name in it.
[[nodiscard]] std::string describe(const sys::Ended& ended, bool with_name);

// "1 pool", "2 pools"
[[nodiscard]] std::string counted(size_t count, const std::string& noun);

// How long to wait before a process that keeps ending is started again.
class Backoff {
 public:
  static constexpr Millis kFirst{100}, kLongest{5000}, kHealthy{5000};
  // The first `at_once` times it comes back at once; a life of kHealthy starts the count again.
  explicit Backoff(int at_once = 1) : at_once_(at_once), left_(at_once) {}
  // It ended after `lived`.  How long to wait now.
  Millis ended(Millis lived);
  [[nodiscard]] bool failing() const { return delay_ > Millis(0); }

 private:
  Millis delay_{0};
  int at_once_, left_;
};

// Collects ended children, also adopted ones, and tells whoever waits for each.
class Reaper {
 public:
  using OnEnded = std::function<void(const sys::Ended&)>;
  void watch(pid_t pid, OnEnded on_ended) { watched_[pid] = std::move(on_ended); }
  void forget(pid_t pid) { watched_.erase(pid); }
  // After SIGCHLD.
  void collect();

 private:
  std::map<pid_t, OnEnded> watched_;
};

}  // namespace bulkhead::master
