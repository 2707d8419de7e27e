#include "sys/deep_walk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "sys/directory.h"

namespace bulkhead::sys {
namespace {

constexpr int kRoundsMax = 20;
constexpr int kInside = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Level {
  dev_t device = 0;
  ino_t inode = 0;
  std::vector<std::string> names;  // still to be visited
};

Result<Level> level_of(FdRef directory) {
  struct stat st {};
  if (::fstat(directory.get(), &st) < 0) return fail_errno("cannot look at a directory");
  return Level{st.st_dev, st.st_ino, TRY(names_in(directory))};
}

// One round.  False: a directory was moved away while the walk was below it.
Result<bool> walk_once(FdRef top, const Visit& visit) {
  Fd at(::openat(top.get(), ".", kInside));
  if (!at.valid()) return fail_errno("cannot open a directory");
  std::vector<Level> levels;
  levels.push_back(TRY(level_of(at)));
  for (;;) {
    if (levels.back().names.empty()) {
      levels.pop_back();
      if (levels.empty()) return true;
      Fd above(::openat(at.get(), "..", kInside));
      struct stat st {};
      if (!above.valid() || ::fstat(above.get(), &st) < 0 || st.st_dev != levels.back().device ||
          st.st_ino != levels.back().inode) {
        return false;
      }
      at = std::move(above);
      continue;
    }
    const std::string name = std::move(levels.back().names.back());
    levels.back().names.pop_back();
    if (TRY(visit(at, name)) != Walk::kDown) continue;
    Fd inside(::openat(at.get(), name.c_str(), kInside));
    if (!inside.valid()) continue;  // no directory, or gone
    Level level = TRY(level_of(inside));
    if (level.device != levels.back().device) continue;
    levels.push_back(std::move(level));
    at = std::move(inside);
  }
}

}  // namespace

Status walk_below(FdRef top, const Visit& visit) {
  for (int round = 0; round < kRoundsMax; ++round) {
    if (TRY(walk_once(top, visit))) return {};
  }
  return fail_errno("a directory is moved again and again while it is looked through", EAGAIN);
}

}  // namespace bulkhead::sys
