// See quota.h.
#include "sandbox/quota.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "sys/fd.h"

namespace bulkhead::sandbox {
namespace {

constexpr long kSysQuotactlFd = 443;  // on every architecture; headers of 2022 have it, older not
constexpr uint64_t kQuotaBlock = 1024;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kAny = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;  // a FIFO, too
constexpr int kDepthMax = 64;

enum class Joined : uint8_t { kBefore, kNow };

// What is made in a directory from now on belongs to the project.
Result<Joined> join_project(sys::FdRef file, uint32_t project, bool is_directory) {
  const uint32_t inherit = is_directory ? FS_XFLAG_PROJINHERIT : 0;
  fsxattr attributes{};
  if (::ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) < 0) {
    return fail_errno("reading its project failed");
  }
  if (attributes.fsx_projid == project && (attributes.fsx_xflags & inherit) == inherit) {
    return Joined::kBefore;
  }
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= inherit;
  if (::ioctl(file.get(), FS_IOC_FSSETXATTR, &attributes) < 0) {
    return fail_errno("setting its project failed");
  }
  return Joined::kNow;
}

using Entries = std::unique_ptr<DIR, decltype(&::closedir)>;

Entries entries_of(sys::FdRef directory) {
  const int copy = ::openat(directory.get(), ".", kDirectory);
  return {copy < 0 ? nullptr : ::fdopendir(copy), &::closedir};
}

// What the site had before it was limited.  A file with a second name may be somebody else's.
void join_contents(sys::FdRef directory, uint32_t project, int depth) {
  const Entries entries = entries_of(directory);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    struct stat st {};
    if (name == "." || name == "..") continue;
    const sys::Fd fd(::openat(directory.get(), entry->d_name, kAny));
    if (!fd.valid() || ::fstat(fd.get(), &st) < 0) continue;
    const bool is_directory = S_ISDIR(st.st_mode);
    if (!is_directory && (!S_ISREG(st.st_mode) || st.st_nlink != 1)) continue;
    (void)join_project(fd, project, is_directory);
    if (is_directory && depth < kDepthMax) join_contents(fd, project, depth + 1);
  }
}

// The site's directories; what is in them only the first time.
Status join_all(sys::FdRef directory, uint32_t project) {
  (void)TRY(join_project(directory, project, true));
  const Entries entries = entries_of(directory);
  if (entries == nullptr) return fail_errno("reading it failed");
  while (const dirent* entry = ::readdir(entries.get())) {
    if (entry->d_name[0] == '.') continue;
    const sys::Fd leaf(::openat(directory.get(), entry->d_name, kDirectory));
    if (!leaf.valid()) continue;
    if (TRY(join_project(leaf, project, true)) == Joined::kNow) join_contents(leaf, project, 0);
  }
  return {};
}

Status set_limit(sys::FdRef directory, uint32_t project, uint64_t bytes) {
  if_dqblk limits{};
  limits.dqb_bhardlimit = bytes == 0 ? 0 : bytes / kQuotaBlock;
  limits.dqb_valid = QIF_BLIMITS;
  if (::syscall(kSysQuotactlFd, directory.get(), QCMD(Q_SETQUOTA, PRJQUOTA), project, &limits) <
      0) {
    return fail_errno("quotactl_fd() failed");
  }
  return {};
}

}  // namespace

uint32_t project_of(std::string_view site) {
  uint32_t hash = 0x811c9dc5;  // FNV-1a; two sites with one number would share a limit, no more
  for (unsigned char c : site) hash = (hash ^ c) * 0x01000193;
  return 0x40000000 | (hash & 0x3fffffff);
}

bool has_project_quota(const std::string& directory) {
  const sys::Fd fd(::open(directory.c_str(), kDirectory));
  fs_quota_statv state{};
  state.qs_version = FS_QSTATV_VERSION1;
  // Accounting alone (ext4 without the mount option) limits nothing.
  return fd.valid() &&
         ::syscall(kSysQuotactlFd, fd.get(), QCMD(Q_XGETQSTATV, PRJQUOTA), 0, &state) == 0 &&
         (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

Status limit_disk(const std::string& directory, std::string_view site, uint64_t bytes) {
  if (!has_project_quota(directory)) {
    if (bytes == 0) return {};
    return fail("the file system of " + directory + kNoQuota);
  }
  const sys::Fd fd(::open(directory.c_str(), kDirectory));
  if (!fd.valid()) return fail_errno("open(" + directory + ") failed");
  const uint32_t project = project_of(site);
  Status done = bytes == 0 ? Status() : join_all(fd, project);
  if (done) done = set_limit(fd, project, bytes);
  if (done) return done;
  return fail_errno("limiting " + directory + ": " + done.error().text, done.error().errno_value);
}

}  // namespace bulkhead::sandbox
