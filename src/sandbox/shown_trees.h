// A policy's trees as the machine has them now: resolved, outer ones first, each shown once.
//
// Runs in: a site's process while it is still root (view, Landlock), bulkhead-files' start.
// Input: the policy (trusted), the site's directories (hostile; see tree_walk.h).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/site_policy.h"
#include "sandbox/tree_walk.h"

namespace bulkhead::sandbox {

struct Shown {
  Found found;
  bool read_only = false;
  bool hidden = false;  // another site's tree inside one of ours; `found` has no object
};
struct ShownTrees {
  std::vector<Shown> trees;  // shorter paths first
  std::vector<Link> links;   // to be drawn again, when their directories are not shown
};

// Errors: a tree that the site cannot do without (Tree::Need::kMust), with its origin and path.
Result<ShownTrees> resolve_trees(const SitePolicy& policy, uid_t owner);

}  // namespace bulkhead::sandbox
