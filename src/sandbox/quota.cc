// See quota.h.
#include "sandbox/quota.h"

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/deep_walk.h"
#include "sys/directory.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {
namespace {

constexpr long kSysQuotactlFd = 443;  // on every architecture; headers of 2022 have it, older not
constexpr uint64_t kQuotaBlock = 1024;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kAny = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;  // a FIFO, too

Result<fsxattr> attributes_of(sys::FdRef file) {
  fsxattr attributes{};
  if (::ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) < 0) {
    return fail_errno("reading its project failed");
  }
  return attributes;
}

Result<bool> is_in_project(sys::FdRef directory, uint32_t project) {
  const fsxattr attributes = TRY(attributes_of(directory));
  return attributes.fsx_projid == project && (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0;
}

// What is made in a directory from now on belongs to the project.
Status join_project(sys::FdRef file, uint32_t project, bool is_directory) {
  const uint32_t inherit = is_directory ? FS_XFLAG_PROJINHERIT : 0;
  fsxattr attributes = TRY(attributes_of(file));
  if (attributes.fsx_projid == project && (attributes.fsx_xflags & inherit) == inherit) return {};
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= inherit;
  if (::ioctl(file.get(), FS_IOC_FSSETXATTR, &attributes) < 0) {
    return fail_errno("setting its project failed");
  }
  return {};
}

// What the site had before it was limited, however deep.  A file with a second name may be somebody
// else's.
Status join_contents(sys::FdRef directory, uint32_t project) {
  return sys::walk_below(directory,
                         [&](sys::FdRef at, const std::string& name) -> Result<sys::Walk> {
                           struct stat st {};
                           const sys::Fd fd(::openat(at.get(), name.c_str(), kAny));
                           if (!fd.valid() || ::fstat(fd.get(), &st) < 0) return sys::Walk::kOn;
                           const bool is_directory = S_ISDIR(st.st_mode);
                           if (!is_directory && (!S_ISREG(st.st_mode) || st.st_nlink != 1))
                             return sys::Walk::kOn;
                           (void)join_project(fd, project, is_directory);
                           return is_directory ? sys::Walk::kDown : sys::Walk::kOn;
                         });
}

// The site's directories, and what is in them the first time.  A leaf joins before what is in it,
// so that nothing new escapes; their parent, which is root's, after all: then that is done.
Status join_all(sys::FdRef directory, uint32_t project) {
  const bool done_before = TRY(is_in_project(directory, project));
  for (const std::string& name : TRY(sys::names_in(directory))) {
    if (name[0] == '.') continue;
    const sys::Fd leaf(::openat(directory.get(), name.c_str(), kDirectory));
    if (!leaf.valid() || (done_before && TRY(is_in_project(leaf, project)))) continue;
    TRY_STATUS(join_project(leaf, project, true));
    TRY_STATUS(join_contents(leaf, project));
  }
  return join_project(directory, project, true);
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
