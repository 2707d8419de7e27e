// The site's own view of the machine: a root of its own with the system's programs in it, the
// site's directories, private /tmp and the like, and nothing else.
//
// Runs in: a fresh pool, as root, first process of its pid namespace.
// Input: the site's policy (trusted); the site's own directories (hostile: what is mounted and
// where is decided on descriptors).
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/base_tree.h"
#include "sandbox/shown_trees.h"
#include "sandbox/site_policy.h"
#include "sys/users.h"

namespace bulkhead::sandbox {

// A directory of the site's private state that appears at `path`: PHP's session.save_path and the
// like.  `name` is one of kStateDirs.
struct PrivateDir {
  std::string path, name;
};

// Enters a mount namespace with the site's view; root and current directory are "/" of it after.
// Returns the site's trees as they are shown (without objects).
// Errors: the step and the path; the process must not go on.
Result<std::vector<Shown>> enter_view(const SitePolicy& policy, const sys::Identity& who,
                                      const BaseTree& base, const std::vector<PrivateDir>& dirs);

// /etc/passwd and /etc/group of a view: root, nobody, and the site.
[[nodiscard]] std::string passwd_text(const sys::Identity& who);
[[nodiscard]] std::string group_text(const sys::Identity& who);

}  // namespace bulkhead::sandbox
