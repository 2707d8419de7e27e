// The files of control groups: small reads and writes below a directory descriptor.
//
// Runs in: master.  Input: the kernel's own words.  Private to src/sandbox/cgroup*.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

// Errors: names the file and the value.
Status write_group_file(sys::FdRef directory, const char* file, std::string_view value);
// "" when it cannot be read.
std::string read_group_file(sys::FdRef directory, const char* file);
Result<sys::Fd> open_group(sys::FdRef directory, const char* name);
// Names of the directories in it.
std::vector<std::string> child_groups(sys::FdRef directory);
// SIGKILL to every process in the group and below, also those forked meanwhile.
Status kill_group(sys::FdRef directory);
// Removes the group and everything below.  False: some process has not ended yet.
bool remove_group(sys::FdRef parent, const char* name);

}  // namespace bulkhead::sandbox
