// Opens a site's paths with the site's own rights, following only symbolic links that the site
// could mean to publish.
//
// Runs in: a site's pool and bulkhead-files, as the site's user.
// Input: paths from front's routing; a file system that the site changes at any moment.
//
// The rule (LinkRule::kOwned): a symbolic link anywhere on the way is followed only when root owns
// the link, or the link's owner also owns the object that the link leads to (all of its target
// resolved, by the same rule).  So a site's link into its own trees works, a link to what belongs
// to somebody else does not, however readable that is.  Races cannot bend the rule: every step is
// made from a descriptor, an owner is asked of the same descriptor that is used next, and the file
// that is finally opened must be the very inode that was judged.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace bulkhead::sys {

enum class LinkRule : uint8_t {
  kOwned,       // see above
  kOff,         // no links at all
  kIfNotOwner,  // as kOwned, but a link that root owns is nothing special
};

struct PathQuery {
  std::string_view path;  // absolute
  LinkRule rule = LinkRule::kOwned;
  size_t from = 0;  // components that begin before this byte are under kOwned, whatever `rule` says
};

// Where a path leads.
struct Resolved {
  int error = 0;      // errno; ELOOP: refused by the rule (or too many links)
  Fd object;          // O_PATH; after a miss the deepest directory that exists
  struct stat st {};  // of `object`
  Fd parent;          // O_PATH; holds `name`.  Invalid when the path ended in ".." or is "/"
  std::string name;
  std::string text;  // the path without links
};
// Walks component by component.  Errors: Resolved::error.
[[nodiscard]] Resolved resolve_path(const PathQuery& query);
// Opens what was resolved with open(2) flags.  Errors: errno; EAGAIN: it was replaced meanwhile.
[[nodiscard]] int reopen(const Resolved& resolved, int flags, Fd& fd);

// The answer to "open this for serving".
struct Opened {
  int error = 0;
  Fd fd;                // regular file: O_RDONLY; directory: O_PATH
  struct stat st {};    // valid when fd is, or when `exists`
  bool exists = false;  // true beside EACCES: there, but unreadable
  Fd nearest;           // after ENOENT or ENOTDIR: the deepest directory that exists, O_PATH
};
// A regular file or directory; anything else is EACCES.  Blocks: as the file system does.
[[nodiscard]] Opened open_beneath(const PathQuery& query);

// Opens a directory for reading its entries.
[[nodiscard]] int open_directory(const PathQuery& query, Fd& fd);
// An unlinked read-write file in a directory.
[[nodiscard]] int open_spool(const PathQuery& directory, Fd& fd);
// A regular file to append to, created with mode 0644 when missing.
[[nodiscard]] int open_append(const PathQuery& query, Fd& fd);

}  // namespace bulkhead::sys
