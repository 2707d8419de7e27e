// The table of attacks: one row per probe.  Everything reads it: the runner, --list, the page.
//
// Runs in: bulkhead-verify.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bulkhead::verify {

enum class How : uint8_t {
  kNative,  // native code in the attacker's sandbox (src/probe, by the row's id)
  kPhp,     // share/verify/attacker.php in the attacker's site, by the row's id
  kStaged,  // several parties act in turn (staged_*.cc, by the row's id)
  kLoad,    // takes the machine while the victim's answers are timed
  kLast,    // staged, and the attacker's site or the server does not survive it: own servers only
  kNever,   // cannot be tried here; `note` says why
};

struct Probe {
  std::string_view id;    // as in the catalogue; a letter behind it for variants
  std::string_view want;  // what the attacker is after
  How how;
  std::string_view evidence;  // the marker that proves success; "": the attack says so itself
  // What should stop it, the first that fits the refusal is named: view, pid, ipc, landlock
  // (landlock:N needs that ABI), seccomp, uid, nnp, group, cgroup, links, engine, front, php,
  // kernel.
  std::string_view layers;
  std::string_view note;  // for kNever: why; else why success is an open end that we accept
};

[[nodiscard]] std::span<const Probe> probes();
[[nodiscard]] const Probe* find_probe(std::string_view id);
// "File system" for 'A'.
[[nodiscard]] std::string_view group_title(char group);
// "the site's own view of the file system" for "view".
[[nodiscard]] std::string_view layer_meaning(std::string_view layer);

}  // namespace bulkhead::verify
