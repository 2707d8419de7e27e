#include "sys/stream_connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "sys/stream_io.h"

namespace bulkhead::sys {

Connecting connect_stream(std::string_view sockaddr) {
  Connecting out;
  sockaddr_storage address{};
  if (sockaddr.size() > sizeof address || sockaddr.size() < sizeof(sa_family_t)) {
    out.error = EINVAL;
    return out;
  }
  std::memcpy(&address, sockaddr.data(), sockaddr.size());
  Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    out.error = errno;
    out.step = Connecting::Step::kSocket;
    return out;
  }
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  int result = 0;
  do {
    result = ::connect(fd.get(), reinterpret_cast<const struct sockaddr*>(&address),
                       static_cast<socklen_t>(sockaddr.size()));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EINPROGRESS) {
    out.error = errno;
    return out;
  }
  out.in_progress = result != 0;
  out.fd = std::move(fd);
  return out;
}

int connect_unix(const PathQuery& query, Fd& fd) {
  const Resolved found = resolve_path(query);
  if (found.error != 0) return found.error;
  if (!S_ISSOCK(found.st.st_mode)) return ECONNREFUSED;  // as connect(2)
  // By descriptor: what was looked up is what is connected to, however long its path.
  const std::string path = "/proc/self/fd/" + std::to_string(found.object.get());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Connecting made = connect_stream({reinterpret_cast<const char*>(&address), sizeof address});
  fd = std::move(made.fd);
  return made.error;
}

bool is_quiet(FdRef socket) { return look_ahead(socket).must_wait(); }

bool is_same_socket(FdRef a, FdRef b) {
  struct stat of_a {
  }, of_b{};
  return ::fstat(a.get(), &of_a) == 0 && ::fstat(b.get(), &of_b) == 0 &&
         of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}

}  // namespace bulkhead::sys
