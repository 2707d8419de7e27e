#include "import/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "sys/fd.h"

namespace bulkhead::import {

bool is_taken(std::string_view address) {
  sockaddr_storage copy{};
  if (address.size() < sizeof(sa_family_t) || address.size() > sizeof copy) return false;
  std::memcpy(&copy, address.data(), address.size());
  const auto* raw = reinterpret_cast<const sockaddr*>(&copy);
  const auto size = static_cast<socklen_t>(address.size());
  const sys::Fd fd(::socket(raw->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return false;
  // Binding would leave the file of a Unix socket behind.
  if (raw->sa_family == AF_UNIX) return ::connect(fd.get(), raw, size) == 0;
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (raw->sa_family == AF_INET6) {
    (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  return ::bind(fd.get(), raw, size) != 0 && errno == EADDRINUSE;
}

}  // namespace bulkhead::import
