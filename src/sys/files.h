// Files as root may touch them: no link that a site could have placed is ever followed.
//
// Runs in: master.  Input: paths from configuration (trusted); directories on the way may belong
// to a site (hostile).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// Opens `path` with open(2) flags (O_CLOEXEC is added).  A symbolic link on the way is followed
// only when root (or the calling user) owns it; otherwise ELOOP.  "/dev/stdout", "/dev/stderr" and
// "/proc/self/fd/N" give a copy of that descriptor.
[[nodiscard]] Result<Fd> open_trusted(const std::string& path, int flags, mode_t mode = 0);
// The directory of a path (O_PATH), links as above, and the last component's name.
[[nodiscard]] Result<Fd> open_directory_of(const std::string& path, std::string* name);
// A log file: O_APPEND, created with `mode` when missing (owner `uid` when not -1, as new files
// only).  Refuses anything but a regular file, pipe or character device, and
// a file with a second name (EMLINK) where others may write: it could be a file of somebody else.
[[nodiscard]] Result<Fd> open_log(const std::string& path, mode_t mode = 0644,
                                  uid_t uid = static_cast<uid_t>(-1),
                                  gid_t gid = static_cast<gid_t>(-1));
// The whole file.  Errors: also when it is larger than `bytes_max`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, size_t bytes_max = 64 << 20);
// Writes a new file beside it and renames: readers see the old one or the new one.
Status write_file_atomically(const std::string& path, std::string_view text, mode_t mode = 0644);
void remove_file(const std::string& path);
Status rename_file(const std::string& from, const std::string& to);
// Writes everything; Blocks: while the descriptor does.  False on error.
bool write_all(FdRef fd, std::string_view bytes);
[[nodiscard]] Result<Fd> duplicate(FdRef fd);
[[nodiscard]] Result<uint64_t> size_of(FdRef fd);

}  // namespace bulkhead::sys
