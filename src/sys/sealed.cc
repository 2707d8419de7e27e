#include "sys/sealed.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "sys/files.h"

namespace bulkhead::sys {

Result<Fd> create_sealed(const char* name, std::string_view bytes) {
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return fail_errno("memfd_create() failed");
  if (!write_all(fd, bytes)) return fail_errno("write() to a memfd failed");
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) return fail_errno("fcntl(F_ADD_SEALS) failed");
  return fd;
}

}  // namespace bulkhead::sys
