#include "sys/private_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

#include "sys/files.h"

namespace bulkhead::sys {
namespace {

constexpr size_t kMapsBytesMax = 8 << 20;
constexpr size_t kPage = 4096;
constexpr std::string_view kOwnLock = "bulkhead_lock";  // the name of replacements

// One line of /proc/self/maps.
struct Region {
  uintptr_t begin = 0, end = 0;
  bool read = false, write = false, execute = false;
  uint64_t inode = 0;
  std::string path;

  [[nodiscard]] size_t size() const { return end - begin; }
  [[nodiscard]] void* address() const { return reinterpret_cast<void*>(begin); }
  // No file behind it that has a name: shared anonymous memory, a memfd, System V.
  [[nodiscard]] bool is_nameless() const {
    return path.empty() || path.starts_with("/dev/zero") || path.starts_with("/memfd:") ||
           path.starts_with("/SYSV") || path.starts_with("[anon") || path.ends_with(" (deleted)");
  }
  [[nodiscard]] int protection() const {
    return (read ? PROT_READ : 0) | (write ? PROT_WRITE : 0) | (execute ? PROT_EXEC : 0);
  }
};

Result<std::vector<Region>> read_shared_regions() {
  const std::string text = TRY(read_file("/proc/self/maps", kMapsBytesMax));
  std::vector<Region> regions;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const size_t space = text.find(' ', at);
    const bool is_shared = space < end && space + 4 < end && text[space + 4] == 's';
    const std::string line = is_shared ? text.substr(at, end - at) : "";
    at = end + 1;
    if (!is_shared) continue;  // most lines: libraries and private memory
    Region r;
    char perms[5] = "";
    unsigned long long inode = 0;
    int path_at = 0;
    if (sscanf(line.c_str(), "%lx-%lx %4s %*x %*x:%*x %llu %n", &r.begin, &r.end, perms, &inode,
               &path_at) < 4) {
      return fail("cannot read /proc/self/maps");
    }
    r.read = perms[0] == 'r';
    r.write = perms[1] == 'w';
    r.execute = perms[2] == 'x';
    r.inode = inode;
    r.path = path_at > 0 ? line.substr(static_cast<size_t>(path_at)) : "";
    regions.push_back(std::move(r));
  }
  return regions;
}

bool machine_swaps() {
  auto swaps = read_file("/proc/swaps", 1 << 20);
  return !swaps || std::count(swaps->begin(), swaps->end(), '\n') > 1;
}

bool g_pinned = false;  // set in the zygote, inherited by pools

// Copies the pages that hold something.  `to` is fresh and zero.
Status copy_pages(const Region& from, char* to) {
  const size_t pages = (from.size() + kPage - 1) / kPage;
  std::vector<unsigned char> resident(pages, 1);
  const bool knows = g_pinned || !machine_swaps();
  if (knows && mincore(from.address(), from.size(), resident.data()) != 0) {
    return fail_errno("mincore() failed on " + from.path);
  }
  const char* source = static_cast<const char*>(from.address());
  for (size_t i = 0; i < pages;) {
    if ((resident[i] & 1) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < pages && (resident[end] & 1) != 0) ++end;
    std::memcpy(to + i * kPage, source + i * kPage, (end - i) * kPage);
    i = end;
  }
  return {};
}

Status replace_region(const Region& region) {
  if (!region.read && mprotect(region.address(), region.size(), PROT_READ) != 0) {
    return fail_errno("mprotect() failed on " + region.path);
  }
  void* fresh =
      mmap(nullptr, region.size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) return fail_errno("mmap() failed for a copy of " + region.path);
  Status copied = copy_pages(region, static_cast<char*>(fresh));
  if (copied && mprotect(fresh, region.size(), region.protection()) != 0) {
    copied = fail_errno("mprotect() failed for a copy of " + region.path);
  }
  if (copied && mremap(fresh, region.size(), region.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                       region.address()) == MAP_FAILED) {
    copied = fail_errno("mremap() failed for a copy of " + region.path);
  }
  if (!copied) munmap(fresh, region.size());
  return copied;
}

std::string name_of(FdRef fd) {
  char name[512];
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t size = readlink(link.c_str(), name, sizeof name);
  return size > 0 ? std::string(name, static_cast<size_t>(size)) : "";
}

}  // namespace

void pin_shared_memory() {
  auto regions = read_shared_regions();
  if (!regions) return;
  g_pinned = true;
  for (const Region& r : *regions) {
    if (!r.is_nameless()) continue;
    if (mlock2(r.address(), r.size(), MLOCK_ONFAULT) != 0) g_pinned = false;
  }
}

Status make_shared_memory_private() {
  const std::vector<Region> before = TRY(read_shared_regions());
  std::set<uint64_t> foreign;
  for (const Region& r : before) {
    if (!r.is_nameless()) {
      if (r.write) return fail("a writable shared mapping of " + r.path + " would join sites");
      continue;  // read-only: a locale's cache and the like
    }
    foreign.insert(r.inode);
    TRY_STATUS(replace_region(r));
  }
  // Trust the kernel's word, not our arithmetic.
  const std::vector<Region> after = TRY(read_shared_regions());
  for (const Region& r : after) {
    if (r.is_nameless() ? foreign.contains(r.inode) : r.write) {
      return fail("shared memory of another site remains mapped: " + r.path);
    }
  }
  return {};
}

Result<std::vector<FdRef>> replace_lock_files(const std::vector<std::string_view>& names) {
  std::vector<FdRef> replaced;
  for (const FdRef fd : open_descriptors(3)) {
    const std::string name = name_of(fd);
    const bool is_lock = std::any_of(names.begin(), names.end(), [&](std::string_view part) {
      return name.find(part) != std::string::npos;
    });
    if (!is_lock) continue;
    Fd fresh(memfd_create(std::string(kOwnLock).c_str(), MFD_CLOEXEC));
    if (!fresh.valid()) return fail_errno("memfd_create() failed");
    const bool cloexec = (fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0;
    if (dup3(fresh.get(), fd.get(), cloexec ? O_CLOEXEC : 0) < 0) {
      return fail_errno("dup3() failed for " + name);
    }
    replaced.push_back(fd);
  }
  return replaced;
}

std::vector<FdRef> open_descriptors(int first) {
  std::vector<FdRef> found;
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return found;
  while (const dirent* entry = readdir(dir)) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd >= first && fd != dirfd(dir)) found.emplace_back(fd);
  }
  closedir(dir);
  return found;
}

Status check_descriptors(const std::vector<FdRef>& ours) {
  for (const FdRef fd : open_descriptors(3)) {
    if (std::find(ours.begin(), ours.end(), fd) != ours.end()) continue;
    struct stat st {};
    const int flags = fcntl(fd.get(), F_GETFL);
    if (fstat(fd.get(), &st) != 0 || flags < 0) continue;
    const std::string name = name_of(fd);
    if (S_ISCHR(st.st_mode) || name.find(kOwnLock) != std::string::npos) continue;
    if (S_ISREG(st.st_mode) && (flags & O_ACCMODE) == O_RDONLY) continue;
    return fail("an extension keeps " + name + " open, which sites would share");
  }
  return {};
}

void* allocate_shared(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace bulkhead::sys
