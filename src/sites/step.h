// One step of a command that changes the machine: what it does, how that is undone, and how it is
// told beforehand.  A step is a kind and words, so that it can be written down before it is done.
//
// Runs in: bulkhead-site (root).  Input: words made from the administrator's command line.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::sites {

struct Step {
  std::string kind;
  std::map<std::string, std::string> with;

  // The word of that name; "" when it is not there.
  [[nodiscard]] const std::string& word(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const { return with.contains(name); }
};

// One row per kind.  All three get words that come from a journal of root's own.
// What must reach the disk before a command counts as done.
struct Touched {
  std::set<std::string> directories;  // their entries: names made, moved, removed
  std::set<std::string> trees;        // everything in their file systems
};

struct StepKind {
  std::string_view name;
  // One line for people: "write /etc/bulkhead/pools/a.conf".
  std::string (*tell)(const Step& step);
  // May be done again after it was done wholly or in part, with the same result.
  Status (*apply)(const Step& step);
  // Puts the old state back, whether apply() was done wholly, in part or not at all; may be done
  // again.  nullptr: nothing to put back.
  Status (*revert)(const Step& step);
  // What both of them change that they do not sync themselves (contents of files they do).
  // nullptr: nothing, or another program's matter.
  void (*touch)(const Step& step, Touched* touched) = nullptr;
};

// What a command does.  Until every step is done, all of them can be undone; `finish` is what
// cannot be undone (deleting), and is done after that point.
struct Work {
  std::string command;  // as typed: "site add blog.example"
  std::vector<Step> steps;
  std::vector<Step> finish;
};

[[nodiscard]] std::string to_text(const Work& work);
[[nodiscard]] Result<Work> parse_work(std::string_view text);

}  // namespace bulkhead::sites
