// Root's hands in trees that a site owns: made, copied, moved, removed without ever
// following a link, whatever the site changes meanwhile.
//
// Runs in: bulkhead-site (root).  Input: paths from the configuration and records (trusted); what
// lies below them (hostile: changed at any moment by its owner).
//
// A path is opened from a directory that only root can change; links on that way are followed only
// when root made them (/srv -> /data).  From there on every step is an openat2(2) with
// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS from a descriptor (Linux >= 5.6), and what is changed is
// the object of a descriptor that was looked at, never a name.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sites/step.h"
#include "sys/fd.h"

namespace bulkhead::sites {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Deeper trees are not copied (ELOOP): descriptors are bounded.
constexpr int kDepthMax = 200;

// `name` (one component or several) below a directory, with open(2) flags.  Errors: ELOOP for a
// link anywhere on the way, EXDEV for "..".
[[nodiscard]] Result<sys::Fd> open_below(sys::FdRef directory, const std::string& name, int flags,
                                         mode_t mode = 0);
// A directory or file of which every parent is root's, or a link of root's; the last component is
// no link.  Flags: open(2).
[[nodiscard]] Result<sys::Fd> open_in_roots(const std::string& path, int flags);

[[nodiscard]] bool exists(const std::string& path);  // a link counts, wherever it leads

// Makes the last component, owned and with a mode set whatever the umask; one that exists must be a
// directory, and becomes so too.
Status make_directory(const std::string& path, mode_t mode, const Owner& owner);
// Parents that do not exist, as root's with mode 0755.
Status make_parents(const std::string& path);

// Everything below and the thing itself.  It is no error when it is not there.
// Errors: EXDEV: something is mounted below; nothing of that mount is touched.
Status remove_tree(const std::string& path);
// Copies directories, regular files, links (as links) to a new tree that `owner` owns; set-id bits,
// devices, sockets, pipes, and files of others with a second name (it could be anybody's) stay
// behind.  The target must not exist.  `skipped` (may be null) counts what stayed behind.
Status copy_tree(const std::string& from, const std::string& to, const Owner& owner,
                 uint64_t* skipped);
// renameat2(2) with RENAME_NOREPLACE; parents on both sides are root's.
Status move_tree(const std::string& from, const std::string& to);

// Everything below a directory of which every parent is root's, and the thing itself, that belongs
// to `uid` becomes root's, whatever its depth; no link is followed, no other mount entered.  It is
// no error when it is not there.
Status give_to_root(const std::string& path, uid_t uid);

// Makes what Touched names reach the disk.  Errors: of fsync(2), syncfs(2).
Status settle(const Touched& touched);
[[nodiscard]] std::string parent_of(const std::string& path);  // "/" of "/a"

// A mount point at or below `path`; "" when there is none.  Ref: proc(5), /proc/self/mountinfo.
[[nodiscard]] Result<std::string> mount_below(const std::string& path);

}  // namespace bulkhead::sites
