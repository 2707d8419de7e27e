#include "sys/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace bulkhead::sys {

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Mapping> Mapping::map(FdRef memfd, size_t size, const char* what) {
  struct stat st {};
  if (::fstat(memfd.get(), &st) < 0) return fail_errno(std::string("fstat() of ") + what);
  int seals = ::fcntl(memfd.get(), F_GET_SEALS);
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW;
  if (seals < 0 || (seals & kNeeded) != kNeeded || (seals & F_SEAL_WRITE) != 0) {
    return fail(std::string(what) + " is not a memfd sealed against resizing only");
  }
  if (st.st_size < 0 || static_cast<size_t>(st.st_size) != size) {
    return fail(std::string(what) + " has " + std::to_string(st.st_size) + " bytes, not " +
                std::to_string(size));
  }
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (at == MAP_FAILED) return fail_errno(std::string("mmap() of ") + what);
  Mapping mapping;
  mapping.data_ = at;
  mapping.size_ = size;
  return mapping;
}

Result<Fd> create_shared(const char* name, size_t size) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return fail_errno(std::string("memfd_create(") + name + ") failed");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) < 0) {
    return fail_errno(std::string("ftruncate() of memfd ") + name + " failed");
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    return fail_errno(std::string("sealing memfd ") + name + " failed");
  }
  return fd;
}

Result<Fd> create_text(const char* name) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return fail_errno(std::string("memfd_create(") + name + ") failed");
  return fd;
}

}  // namespace bulkhead::sys
