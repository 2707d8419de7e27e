// See scheduling.h.
#include "sys/scheduling.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "sys/fd.h"

namespace bulkhead::sys {
void lead_session(int nice) {
  if (::setsid() < 0) return;
  const Fd file(::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(nice);
  if (file.valid()) (void)!::write(file.get(), text.data(), text.size());
}

}  // namespace bulkhead::sys
