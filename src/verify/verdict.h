// What a probe came to, and how that is decided.
//
// Runs in: bulkhead-verify.  Input: findings of the attacker (hostile: he may lie to his own cost;
// that he holds a marker he cannot know otherwise is the only thing believed).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "verify/site.h"
#include "verify/table.h"

namespace bulkhead::verify {

// kOpen: the attack obtained its marker, and the project has decided to live with that (the probe's
// note says why).  It is neither a pass nor counted as allowed, and it is always shown.
enum class Verdict : uint8_t { kBlocked, kAllowed, kDegraded, kOpen, kNotRun };
[[nodiscard]] std::string_view name_of(Verdict verdict);

// As bulkhead-probe and attacker.php answer.
struct Finding {
  std::string got;
  bool done = false;
  int error = 0;
  std::string step;
  std::string cannot;
};
// One JSON object; nonsense becomes `cannot`.
[[nodiscard]] Finding parse_finding(const std::string& json);
[[nodiscard]] inline Finding cannot(std::string why) { return {{}, false, 0, {}, std::move(why)}; }
[[nodiscard]] inline Finding refused(std::string step, int error = 0) {
  return {{}, false, error, std::move(step), {}};
}
[[nodiscard]] inline Finding obtained(std::string got) { return {std::move(got), true, 0, {}, {}}; }

struct Outcome {
  const Probe* probe = nullptr;
  Verdict verdict = Verdict::kNotRun;
  std::string by;                    // the layer that held
  std::string detail;                // what was obtained, where it ended, or why it was not run
  double quiet_ms = 0, busy_ms = 0;  // group E: the victim's p99
};

// The evidence of one pair: what is planted, under which marker.
struct Evidence {
  std::map<std::string, std::string, std::less<>> markers;
  std::set<std::string, std::less<>> planted;
  std::map<std::string, std::string, std::less<>> missing;  // key -> why it could not be planted
};

// Layers that this server has at all, given its kind and what is switched off.
[[nodiscard]] std::set<std::string, std::less<>> layers_of(const Server& server);
// Landlock's ABI on this kernel, 0 without.
[[nodiscard]] int landlock_abi();

[[nodiscard]] Outcome judge(const Probe& probe, const Finding& finding, const Evidence& evidence,
                            const Server& server);

}  // namespace bulkhead::verify
