// Where the control groups of version 2 are mounted, and which of them is ours to divide.
//
// Runs in: master.  Input: /proc/self/mountinfo and /proc/self/cgroup (the kernel's own words).
// Ref: cgroups(7), proc_pid_mountinfo(5); kernel Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::sandbox {

struct GroupPlace {
  std::string mount;  // "/sys/fs/cgroup", or "/sys/fs/cgroup/unified" beside version 1
  std::string own;    // this process's group below it: "" (the root) or "/system.slice/x.service"
};

// Pure: from the text of both files.  Errors: the kernel has no hierarchy of version 2 mounted.
Result<GroupPlace> find_groups(std::string_view mountinfo, std::string_view cgroup);

// One path component for a site: letters, digits, '_', '-' and '.' as they are, all else as %XX;
// starts with "site-", so no name can be one of the kernel's files.  Long names keep their start
// and get a checksum of the whole.
std::string group_name(std::string_view site);

}  // namespace bulkhead::sandbox
