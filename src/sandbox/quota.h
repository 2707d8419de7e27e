// The share of a disk that a site's private directories may fill: a project quota.
//
// Runs in: a fresh pool while it is still root.  Input: configuration (trusted); the directory is
// root's, its leaves are the site's (opened without following a link).
// Ref: quotactl(2) (quotactl_fd, Linux 5.14), ioctl FS_IOC_FSSETXATTR (linux/fs.h), ext4 and XFS
// with prjquota.  The owner of a file may change its project: the site's system call filter forbids
// that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::sandbox {

// The number that stands for the site in the file system's accounts; never 0.
uint32_t project_of(std::string_view site);

constexpr const char* kNoQuota = " has no project quota (mount it with prjquota)";

// Whether limits are kept in the file system of `directory`.
bool has_project_quota(const std::string& directory);

// Counts what is made below `directory` (one level of directories exists) as the site's, and lets
// it have `bytes` at most; 0: no limit.  What is there already, however deep, is counted the first
// time; a walk that was cut off is begun anew.
// Blocks: then, for as long as it takes to walk through it.
// Errors: the file system has no project quota, with what to do; EAGAIN: the site moves
// directories all the time.
Status limit_disk(const std::string& directory, std::string_view site, uint64_t bytes);

}  // namespace bulkhead::sandbox
