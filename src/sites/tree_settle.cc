// What is left of a tree when its site goes, and what reaches the disk before that is announced.
//
// Runs in: bulkhead-site (root).  Input: as tree.h.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "sites/tree.h"
#include "sys/deep_walk.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

// The set-id bits of a program go with its owner (chown(2), Linux >= 2.2.13).
Status take(sys::FdRef object, uid_t uid, const std::string& name) {
  struct stat st {};
  if (::fstat(object.get(), &st) < 0) return fail_errno("cannot look at " + name);
  if (st.st_uid != uid) return {};
  if (::fchownat(object.get(), "", 0, 0, AT_EMPTY_PATH) < 0) {
    return fail_errno("cannot give " + name + " to root");
  }
  return {};
}

bool is_gone(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

Status give_to_root(const std::string& path, uid_t uid) {
  auto top = open_in_roots(path, O_RDONLY | O_DIRECTORY);
  if (!top && is_gone(top.error().errno_value)) return {};
  if (!top) return std::unexpected(top.error());
  TRY_STATUS(take(*top, uid, path));
  return sys::walk_below(*top, [&](sys::FdRef at, const std::string& name) -> Result<sys::Walk> {
    const sys::Fd object(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!object.valid() && errno == ENOENT) return sys::Walk::kOn;
    if (!object.valid()) return fail_errno("cannot open " + name + " in " + path);
    TRY_STATUS(take(object, uid, name + " in " + path));
    return sys::Walk::kDown;
  });
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// A directory that is not there has been removed, which its parent tells.
Status settle(const Touched& touched) {
  for (const auto* list : {&touched.trees, &touched.directories}) {
    for (const std::string& path : *list) {
      auto directory = sys::open_trusted(path, O_RDONLY | O_DIRECTORY);
      if (!directory && is_gone(directory.error().errno_value)) continue;
      if (!directory) return std::unexpected(directory.error());
      const bool is_tree = list == &touched.trees;
      if ((is_tree ? ::syncfs(directory->get()) : ::fsync(directory->get())) < 0) {
        return fail_errno("cannot bring " + path + " to the disk");
      }
    }
  }
  return {};
}

}  // namespace bulkhead::sites
