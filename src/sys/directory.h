// Reads a directory for autoindex.
//
// Runs in: a site's pool and bulkhead-files.  Input: the site's file system.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

struct DirectoryItem {
  std::string_view name;
  uint64_t size = 0;
  int64_t mtime = 0;
  bool is_dir = false;
};
// Calls `each` for every entry whose name does not begin with a dot, until it returns false.  A
// link is described by what it leads to, if that can be asked.  Errors: errno.
int read_directory(Fd directory, const std::function<bool(const DirectoryItem&)>& each);

// Every name in a directory (O_PATH will do), without "." and "..".
[[nodiscard]] Result<std::vector<std::string>> names_in(FdRef directory);

}  // namespace bulkhead::sys
