#include "sys/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace bulkhead::sys {

int read_directory(Fd directory, const std::function<bool(const DirectoryItem&)>& each) {
  DIR* dir = ::fdopendir(directory.get());
  if (dir == nullptr) return errno;
  (void)directory.release();  // closedir() closes it
  int error = 0;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    if (entry->d_name[0] == '.') continue;
    struct stat st {};
    if (::fstatat(::dirfd(dir), entry->d_name, &st, 0) < 0 &&
        ::fstatat(::dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
      continue;  // gone since, or not to be known
    }
    DirectoryItem item;
    item.name = entry->d_name;
    item.size = static_cast<uint64_t>(st.st_size);
    item.mtime = st.st_mtime;
    item.is_dir = S_ISDIR(st.st_mode);
    if (!each(item)) break;
  }
  ::closedir(dir);
  return error;
}

Result<std::vector<std::string>> names_in(FdRef directory) {
  Fd listing(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = listing.valid() ? ::fdopendir(listing.get()) : nullptr;
  if (dir == nullptr) return fail_errno("cannot list a directory");
  (void)listing.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  return names;
}

}  // namespace bulkhead::sys
