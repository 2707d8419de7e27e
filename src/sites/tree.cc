#include "sites/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "sys/directory.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

constexpr int kRoundsMax = 10'000;  // a round removes kDepthMax levels at least
constexpr uint64_t kStrict = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

// A mount point answers EXDEV: what is mounted below is somebody else's.
Result<sys::Fd> open_strict(sys::FdRef at, const std::string& name, int flags, mode_t mode,
                            uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = resolve;
  sys::Fd fd(static_cast<int>(::syscall(SYS_openat2, at.get(), name.c_str(), &how, sizeof how)));
  if (!fd.valid()) return fail_errno("open() \"" + name + "\" failed");
  return fd;
}

std::string within(const std::string& path, const std::string& name) { return path + "/" + name; }

Status too_deep(const std::string& path) {
  return fail_errno(path + " is more than " + std::to_string(kDepthMax) + " directories deep",
                    ELOOP);
}

// Where a tree is being removed.
struct Removal {
  sys::FdRef top;       // its topmost directory; invalid while that is looked at itself
  uint64_t lifted = 0;  // directories that were moved there because they lay too deep
};

Status remove_entry(sys::FdRef at, const std::string& name, const std::string& path, int depth,
                    Removal* removal);

Status remove_inside(sys::FdRef directory, const std::string& path, int depth, Removal* removal) {
  for (const std::string& inner : TRY(sys::names_in(directory))) {
    TRY_STATUS(remove_entry(directory, inner, within(path, inner), depth + 1, removal));
  }
  return {};
}

Status remove_entry(sys::FdRef at, const std::string& name, const std::string& path, int depth,
                    Removal* removal) {
  if (::unlinkat(at.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  // Linux says EISDIR for a directory; EPERM is POSIX's word for it.
  if (errno != EISDIR && errno != EPERM) return fail_errno("cannot remove " + path);
  if (depth > kDepthMax) {
    // Nobody may keep a tree by making it deep: the rest is taken from higher up.
    const std::string lifted = ".lifted-" + std::to_string(removal->lifted++);
    if (::renameat2(at.get(), name.c_str(), removal->top.get(), lifted.c_str(), RENAME_NOREPLACE) <
        0) {
      return errno == EEXIST ? Status() : fail_errno("cannot move " + path);
    }
    return {};
  }
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  auto directory = open_strict(at, name, kFlags, 0, kStrict);
  if (!directory && directory.error().errno_value == EXDEV) {
    return fail_errno("something is mounted on " + path + ": umount it first", EXDEV);
  }
  if (!directory) return fail_errno("cannot open " + path, directory.error().errno_value);
  const bool is_top = !removal->top.valid();
  if (is_top) removal->top = *directory;
  for (int round = 0; round < (is_top ? kRoundsMax : 1); ++round) {
    TRY_STATUS(remove_inside(*directory, path, depth, removal));
    if (::unlinkat(at.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY) break;
  }
  // Below, what was lifted out or made meanwhile is seen by the next round of the top.
  if (!is_top && errno == ENOTEMPTY) return {};
  return fail_errno("cannot remove the directory " + path);
}

struct Copy {
  Owner owner;
  uid_t source = 0;  // who owns the tree that is copied
  uint64_t* skipped;
};

// Holes stay holes: a file that claims a petabyte must not cost the machine one.
Status copy_bytes(sys::FdRef from, sys::FdRef to, const std::string& path) {
  char buffer[65536];
  struct stat st {};
  if (::fstat(from.get(), &st) < 0) return fail_errno("cannot look at " + path);
  for (off_t end = 0; end < st.st_size;) {  // what is appended meanwhile is not waited for
    const off_t data = ::lseek(from.get(), end, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    end = data < 0 ? -1 : ::lseek(from.get(), data, SEEK_HOLE);
    if (end < 0) return fail_errno("cannot read " + path);
    end = std::min(end, st.st_size);
    for (off_t at = data; at < end;) {
      const auto part = std::min<off_t>(sizeof buffer, end - at);
      const ssize_t n = ::pread(from.get(), buffer, static_cast<size_t>(part), at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("cannot read " + path);
      if (n == 0) break;  // made shorter meanwhile
      if (::lseek(to.get(), at, SEEK_SET) < 0 ||
          !sys::write_all(to, {buffer, static_cast<size_t>(n)})) {
        return fail_errno("cannot write the copy of " + path);
      }
      at += n;
    }
  }
  if (::ftruncate(to.get(), st.st_size) < 0) return fail_errno("cannot write the copy of " + path);
  return {};
}

Status dress(sys::FdRef made, const Copy& copy, const struct stat& st, const std::string& path) {
  if (::fchown(made.get(), copy.owner.uid, copy.owner.gid) < 0 ||
      ::fchmod(made.get(), st.st_mode & 0777) < 0) {
    return fail_errno("cannot set owner and mode of the copy of " + path);
  }
  const timespec times[2] = {st.st_atim, st.st_mtim};
  (void)::futimens(made.get(), times);
  return {};
}

Status copy_link(sys::FdRef object, sys::FdRef to, const std::string& name, const Copy& copy,
                 const std::string& path) {
  char target[4096];
  const ssize_t size = ::readlinkat(object.get(), "", target, sizeof target);
  if (size < 0) return fail_errno("cannot read the link " + path);
  const std::string text(target, static_cast<size_t>(size));
  if (::symlinkat(text.c_str(), to.get(), name.c_str()) < 0 ||
      ::fchownat(to.get(), name.c_str(), copy.owner.uid, copy.owner.gid, AT_SYMLINK_NOFOLLOW) < 0) {
    return fail_errno("cannot copy the link " + path);
  }
  return {};
}

// The copy is made in a tree that is root's until it is whole: nobody else works in `to`.
Status copy_entry(sys::FdRef from, sys::FdRef to, const std::string& name, const Copy& copy,
                  const std::string& path, int depth) {
  auto object = open_strict(from, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
  if (!object && object.error().errno_value == ENOENT) return {};
  if (!object) return fail_errno("cannot open " + path, object.error().errno_value);
  struct stat st {};
  if (::fstat(object->get(), &st) < 0) return fail_errno("cannot look at " + path);
  if (S_ISLNK(st.st_mode)) return copy_link(*object, to, name, copy, path);
  const bool is_known = !S_ISREG(st.st_mode) || st.st_nlink == 1 || st.st_uid == copy.source;
  if ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || !is_known) {
    if (copy.skipped != nullptr) ++*copy.skipped;
    return {};
  }
  // The very object that was looked at, for reading.
  const std::string again = "/proc/self/fd/" + std::to_string(object->get());
  sys::Fd source(::open(again.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.valid()) return fail_errno("cannot open " + path);
  if (S_ISREG(st.st_mode)) {
    constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    sys::Fd made(::openat(to.get(), name.c_str(), kNew, 0600));
    if (!made.valid()) return fail_errno("cannot make the copy of " + path);
    TRY_STATUS(copy_bytes(source, made, path));
    return dress(made, copy, st, path);
  }
  if (depth > kDepthMax) return too_deep(path);
  if (::mkdirat(to.get(), name.c_str(), 0700) < 0)
    return fail_errno("cannot make a copy of " + path);
  const sys::Fd made = TRY(open_strict(to, name, O_RDONLY | O_DIRECTORY, 0, kStrict));
  for (const std::string& inner : TRY(sys::names_in(source))) {
    TRY_STATUS(copy_entry(source, made, inner, copy, within(path, inner), depth + 1));
  }
  return dress(made, copy, st, path);
}

}  // namespace

Result<sys::Fd> open_below(sys::FdRef directory, const std::string& name, int flags, mode_t mode) {
  return open_strict(directory, name, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

Result<sys::Fd> open_in_roots(const std::string& path, int flags) {
  std::string name;
  const sys::Fd parent = TRY(sys::open_directory_of(path, &name));
  auto fd = open_strict(parent, name, flags | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (!fd) return fail_errno("open() \"" + path + "\" failed", fd.error().errno_value);
  return fd;
}

bool exists(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

Status make_directory(const std::string& path, mode_t mode, const Owner& owner) {
  std::string name;
  const sys::Fd parent = TRY(sys::open_directory_of(path, &name));
  if (::mkdirat(parent.get(), name.c_str(), 0700) < 0 && errno != EEXIST) {
    return fail_errno("cannot make the directory " + path);
  }
  auto made = open_strict(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, kStrict);
  if (!made) return fail_errno(path + " is no directory of its own", made.error().errno_value);
  if (::fchown(made->get(), owner.uid, owner.gid) < 0 || ::fchmod(made->get(), mode) < 0) {
    return fail_errno("cannot set owner and mode of " + path);
  }
  return {};
}

Status make_parents(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string parent = path.substr(0, at);
    if (!exists(parent)) TRY_STATUS(make_directory(parent, 0755, {::geteuid(), ::getegid()}));
  }
  return {};
}

Status remove_tree(const std::string& path) {
  std::string name;
  auto parent = sys::open_directory_of(path, &name);
  if (!parent && parent.error().errno_value == ENOENT) return {};
  if (!parent) return std::unexpected(parent.error());
  Removal removal;
  return remove_entry(*parent, name, path, 0, &removal);
}

Status copy_tree(const std::string& from, const std::string& to, const Owner& owner,
                 uint64_t* skipped) {
  std::string from_name, to_name;
  const sys::Fd source = TRY(sys::open_directory_of(from, &from_name));
  const sys::Fd target = TRY(sys::open_directory_of(to, &to_name));
  const sys::Fd top = TRY(open_in_roots(from, O_RDONLY | O_DIRECTORY));
  struct stat st {};
  if (::fstat(top.get(), &st) < 0) return fail_errno("cannot look at " + from);
  if (::mkdirat(target.get(), to_name.c_str(), 0700) < 0) return fail_errno("cannot make " + to);
  const sys::Fd made = TRY(open_strict(target, to_name, O_RDONLY | O_DIRECTORY, 0, kStrict));
  const Copy copy{owner, st.st_uid, skipped};
  for (const std::string& name : TRY(sys::names_in(top))) {
    TRY_STATUS(copy_entry(top, made, name, copy, within(from, name), 1));
  }
  return dress(made, copy, st, from);
}

Status move_tree(const std::string& from, const std::string& to) {
  std::string from_name, to_name;
  const sys::Fd source = TRY(sys::open_directory_of(from, &from_name));
  const sys::Fd target = TRY(sys::open_directory_of(to, &to_name));
  if (::renameat2(source.get(), from_name.c_str(), target.get(), to_name.c_str(),
                  RENAME_NOREPLACE) < 0) {
    return fail_errno("cannot move " + from + " to " + to);
  }
  return {};
}

Result<std::string> mount_below(const std::string& path) {
  const std::string text = TRY(sys::read_file("/proc/self/mountinfo"));
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    size_t begin = at;
    for (int i = 0; i < 4 && begin != std::string::npos; ++i) begin = text.find(' ', begin) + 1;
    const std::string point = text.substr(begin, text.find(' ', begin) - begin);
    if (point == path || point.starts_with(path + "/")) return point;
    at = end + 1;
  }
  return std::string();
}

}  // namespace bulkhead::sites
