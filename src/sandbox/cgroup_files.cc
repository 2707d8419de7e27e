// See cgroup_files.h.
#include "sandbox/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace bulkhead::sandbox {
namespace {

constexpr size_t kFileMax = 256 * 1024;  // cgroup.procs of a site with thousands of processes
constexpr int kKillRoundsMax = 50;       // without cgroup.kill: until no new process appears

// Kernels before 5.14: nobody may fork (frozen) while each is told to end.
Status kill_one_by_one(sys::FdRef directory) {
  (void)write_group_file(directory, "cgroup.freeze", "1");
  for (int round = 0; round < kKillRoundsMax; ++round) {
    const std::string pids = read_group_file(directory, "cgroup.procs");
    if (pids.empty()) break;
    for (const char* at = pids.c_str(); *at != '\0';) {
      char* end = nullptr;
      const long pid = std::strtol(at, &end, 10);
      if (end == at) break;
      if (pid > 0) ::kill(static_cast<pid_t>(pid), SIGKILL);
      at = *end == '\n' ? end + 1 : end;
    }
  }
  (void)write_group_file(directory, "cgroup.freeze", "0");
  for (const std::string& name : child_groups(directory)) {
    if (auto child = open_group(directory, name.c_str())) TRY_STATUS(kill_one_by_one(*child));
  }
  return {};
}

}  // namespace

Status write_group_file(sys::FdRef directory, const char* file, std::string_view value) {
  const sys::Fd fd(::openat(directory.get(), file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return fail_errno("open(" + std::string(file) + ") failed");
  if (::write(fd.get(), value.data(), value.size()) < 0) {
    return fail_errno("writing '" + std::string(value) + "' to " + file + " failed");
  }
  return {};
}

std::string read_group_file(sys::FdRef directory, const char* file) {
  const sys::Fd fd(::openat(directory.get(), file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string out;
  char part[4096];
  for (;;) {
    const ssize_t n = fd.valid() ? ::read(fd.get(), part, sizeof part) : 0;
    if (n <= 0 || out.size() > kFileMax) return out;
    out.append(part, static_cast<size_t>(n));
  }
}

Result<sys::Fd> open_group(sys::FdRef directory, const char* name) {
  sys::Fd fd(::openat(directory.get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return fail_errno("open(" + std::string(name) + ") failed");
  return fd;
}

std::vector<std::string> child_groups(sys::FdRef directory) {
  std::vector<std::string> out;
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = copy < 0 ? nullptr : ::fdopendir(copy);
  if (dir == nullptr) {
    if (copy >= 0) ::close(copy);
    return out;
  }
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  return out;
}

Status kill_group(sys::FdRef directory) {
  Status killed = write_group_file(directory, "cgroup.kill", "1");
  if (!killed && killed.error().errno_value == ENOENT) return kill_one_by_one(directory);
  return killed;
}

bool remove_group(sys::FdRef parent, const char* name) {
  if (::unlinkat(parent.get(), name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  auto group = open_group(parent, name);
  if (!group) return false;
  for (const std::string& child : child_groups(*group)) {
    if (!remove_group(*group, child.c_str())) return false;
  }
  return ::unlinkat(parent.get(), name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

}  // namespace bulkhead::sandbox
