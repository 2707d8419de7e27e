// Finds what of the file system a path of the configuration stands for: which directories to show
// to the site, and which links to draw again.
//
// Runs in: a site's process while it is still root, on the machine's own tree.
// Input: paths from the configuration (trusted); the directories on the way may belong to the site,
// which may change them at any moment (hostile): every step is made from a descriptor.
//
// The rule for links is the opener's (sys/open_beneath.h): a link is followed when root owns it, or
// when its owner also owns what it leads to.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

// A directory or file of the machine, and where it is: without links.
struct Found {
  sys::Fd object;  // O_PATH
  std::string path;
  bool is_directory = true;
};
// A link that lies in a directory which is not shown itself.
struct Link {
  std::string path, target;
};
struct WalkResult {
  std::vector<Found> shown;  // the last one holds (or is) what the path leads to
  std::vector<Link> links;
  Found end;  // what the path leads to
};

// `owner`: the site's user.  Shown is the topmost directory on the way that the owner owns, so that
// `current -> releases/8` can be switched under a running site; without one, the object itself.  A
// directory that holds a link on the way is shown too, unless everybody's things lie there (/srv).
// Errors: errno as open(2); ELOOP: a link that the rule refuses, or too many.
Result<WalkResult> walk_tree(const std::string& path, uid_t owner);

// "/", "/home", "/srv", "/var/www" and the like: never shown because of something inside.
[[nodiscard]] bool is_common(const std::string& path);

}  // namespace bulkhead::sandbox
