// What verify tells: lines while it runs, a summary, JSON, a page.
//
// Runs in: bulkhead-verify.  Input: outcomes; texts in them may come from a hostile site and are
// shown without control characters (terminal) or escaped (page).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "verify/verdict.h"

namespace bulkhead::verify {

// One ordered pair's outcomes.
struct PairReport {
  std::string attacker, victim;  // names of sites
  std::string column;            // "bulkhead" or "nginx + php-fpm"
  std::vector<Outcome> outcomes;
};
struct Report {
  std::string title;                  // what was attacked: "bulkhead verify --new"
  std::string kernel;                 // uname -r, Landlock ABI
  std::vector<std::string> warnings;  // sandboxes that are weakened or off
  std::vector<PairReport> pairs;
  double seconds = 0;
};

// A hostile site may have a say in this text: control characters and what is not ASCII become dots.
[[nodiscard]] std::string plain(std::string_view text);
// "not_run": as JSON and the page's style sheet name a verdict.
[[nodiscard]] std::string verdict_key(Verdict verdict);

struct Counts {
  int blocked = 0, allowed = 0, degraded = 0, open = 0, not_run = 0;
};
[[nodiscard]] Counts count(const std::vector<Outcome>& outcomes);

// Lines on a terminal: colours and one line of progress only when it is one.
class Screen {
 public:
  explicit Screen(bool is_silent);
  void heading(const std::string& text);
  void note(const std::string& text);
  // A warning that cannot be overlooked.
  void shout(const std::string& text);
  void outcome(const Outcome& outcome, size_t done, size_t all);
  void summary(const Report& report);
  // Two columns, one row per probe.
  void comparison(const PairReport& stock, const PairReport& ours);

 private:
  [[nodiscard]] std::string painted(Verdict verdict, std::string_view text) const;
  void clear_progress();
  bool silent_, tty_;
  bool progress_ = false;
  char group_ = 0;
};

[[nodiscard]] std::string to_json(const Report& report);
[[nodiscard]] std::string to_html(const Report& report);
// The table of probes for --list.
[[nodiscard]] std::string list_probes();

}  // namespace bulkhead::verify
