#include "sandbox/mount_points.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/files.h"

namespace bulkhead::sandbox {
namespace {

enum class Missing : uint8_t { kMake, kFail };

sys::Fd open_step(sys::FdRef at, const std::string& name) {
  return sys::Fd(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

bool is_directory(sys::FdRef fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode);
}

// One step down; `last` may be a file.
Result<sys::Fd> step(sys::FdRef at, const std::string& name, const std::string& path,
                     PointKind kind, Missing missing) {
  sys::Fd next = open_step(at, name);
  if (!next.valid() && errno == ENOENT && missing == Missing::kMake) {
    if (kind == PointKind::kDirectory) {
      if (::mkdirat(at.get(), name.c_str(), 0755) < 0) {
        return fail_errno("cannot make \"" + name + "\" as mount point for " + path);
      }
    } else {
      sys::Fd made(::openat(at.get(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
      if (!made.valid()) return fail_errno("cannot make a mount point for " + path);
    }
    next = open_step(at, name);
  }
  if (!next.valid()) return fail_errno("cannot open \"" + name + "\" of " + path);
  return next;
}

}  // namespace

Result<sys::Fd> make_mount_point(sys::FdRef root, const std::string& path, PointKind kind) {
  sys::Fd at(::openat(root.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return fail_errno("cannot open the view's root");
  for (size_t begin = 1; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    const bool last = begin >= path.size();
    const PointKind here = last ? kind : PointKind::kDirectory;
    at = TRY(step(at, name, path, here, Missing::kMake));
    if (is_directory(at) != (here == PointKind::kDirectory)) {
      return fail_errno("\"" + name + "\" is in the way of the mount point " + path,
                        here == PointKind::kDirectory ? ENOTDIR : EISDIR);
    }
  }
  return at;
}

Result<sys::Fd> find_in_view(sys::FdRef root, const std::string& path) {
  sys::Fd at(::openat(root.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return fail_errno("cannot open the view's root");
  for (size_t begin = 1; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (!name.empty()) at = TRY(step(at, name, path, PointKind::kDirectory, Missing::kFail));
  }
  return at;
}

Status make_link(sys::FdRef root, const std::string& path, const std::string& target) {
  const size_t slash = path.rfind('/');
  const sys::Fd holder = TRY(make_mount_point(root, path.substr(0, slash), PointKind::kDirectory));
  const std::string name = path.substr(slash + 1);
  if (::symlinkat(target.c_str(), holder.get(), name.c_str()) < 0 && errno != EEXIST &&
      errno != EROFS) {
    return fail_errno("cannot make the link " + path);
  }
  return {};
}

Status write_file(sys::FdRef root, const char* name, std::string_view text) {
  sys::Fd out(
      ::openat(root.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!out.valid()) return fail_errno(std::string("cannot make ") + name + " of the view");
  if (!sys::write_all(out, text)) return fail_errno(std::string("cannot write ") + name);
  return {};
}

}  // namespace bulkhead::sandbox
