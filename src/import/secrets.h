// Files below web roots that hold secrets and that anybody on the machine can read.
//
// Runs in: bulkhead-import (root).  Input: directories that sites own: names, links and depth are
// hostile.  Ref: openat2(2), Linux >= 5.6: RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS.
// Blocks: reads directories, within bounds on depth, entries and time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "import/report.h"

namespace bulkhead::import {

struct SearchBounds {
  int depth = 6;
  size_t entries = 50'000;  // of all roots together
  std::chrono::milliseconds time{5000};
};

// Looks below each root, and beside it where its name says that it is the public part of a tree
// (public, web, htdocs): .env lies there.  A root that was not searched to its end is named in
// `report->not_searched`.
void look_for_secrets(const std::vector<std::string>& roots, const SearchBounds& bounds,
                      Report* report);
// One file that the configuration names (a private key).
void look_at_key(const std::string& path, Report* report);

}  // namespace bulkhead::import
