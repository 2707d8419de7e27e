#include "sys/notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace bulkhead::sys {

void notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // abstract name
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
}

std::chrono::microseconds watchdog_patience() {
  constexpr long long kDay = 86'400'000'000;
  const char* pid = std::getenv("WATCHDOG_PID");
  const char* patience = std::getenv("WATCHDOG_USEC");
  if (patience == nullptr || (pid != nullptr && std::atol(pid) != ::getpid())) return {};
  const long long value = std::atoll(patience);
  return std::chrono::microseconds(value > 0 && value < kDay ? value : 0);
}

std::vector<Fd> take_activation_sockets() {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  constexpr int kSocketsMax = 1024;
  std::vector<Fd> sockets;
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid != nullptr && count != nullptr && std::atol(pid) == ::getpid()) {
    int n = std::atoi(count);
    for (int i = 0; i < n && i < kSocketsMax; ++i) {
      if (::fcntl(kFirst + i, F_SETFD, FD_CLOEXEC) == 0) sockets.emplace_back(kFirst + i);
    }
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  return sockets;
}

}  // namespace bulkhead::sys
