// Directories, files and links inside a view that is being built, made and found without following
// a link: some of them lie in directories that the site writes to (its /tmp).
//
// Runs in: a fresh pool, as root.  Input: canonical paths; the site's private directories
// (hostile).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

enum class PointKind : uint8_t { kDirectory, kFile };

// Opens `path` (absolute, of the view) with O_PATH, making what is missing.  Errors: something else
// than a directory is in the way; a part is missing where nothing may be made (EROFS).
[[nodiscard]] Result<sys::Fd> make_mount_point(sys::FdRef root, const std::string& path,
                                               PointKind kind);
// The same without making anything.  Errors: ENOENT, ENOTDIR, ELOOP.
[[nodiscard]] Result<sys::Fd> find_in_view(sys::FdRef root, const std::string& path);
// A link at `path`; nothing happens when something is there already.
Status make_link(sys::FdRef root, const std::string& path, const std::string& target);
// A small file directly in the root.
Status write_file(sys::FdRef root, const char* name, std::string_view text);

}  // namespace bulkhead::sandbox
