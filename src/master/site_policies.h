// What each site may see, worked out from the configuration: its roots, its user's home, what its
// pool names, and what of that belongs to somebody else.
//
// Runs in: master.  Input: both languages as loaded (trusted); paths are asked about, not opened.
#pragma once

#include "master/load.h"

namespace bulkhead::master {

// Fills loaded->policies, in order of loaded->snapshot.sites.
void make_policies(const Options& options, Loaded* loaded);

// Notes about sandboxes for the start's log, one per pool that needs one: off, layers off, wide.
[[nodiscard]] std::vector<config::FpmMessage> sandbox_notes(const Loaded& loaded);

}  // namespace bulkhead::master
