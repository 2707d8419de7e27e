#include "sys/stream_io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "sys/rlimit.h"

namespace bulkhead::sys {
namespace {

// Repeats a call that a signal interrupted and says what it did.
template <class Call>
Moved moved(Call call) {
  for (;;) {
    ssize_t n = call();
    if (n >= 0) return {static_cast<size_t>(n), 0};
    if (errno != EINTR) return {0, errno};
  }
}

// From here on descriptors are not for connections: with none left, what another process passes to
// us would be lost.
int first_kept_descriptor() {
  constexpr uint64_t kKeptMax = 256;
  uint64_t limit = std::min<uint64_t>(nofile_limit().soft, INT_MAX);
  return static_cast<int>(limit - std::min(kKeptMax, limit / 4));
}

}  // namespace

bool Moved::must_wait() const { return error == EAGAIN || error == EWOULDBLOCK; }

Moved receive(FdRef socket, void* bytes, size_t size) {
  return moved([&] { return ::recv(socket.get(), bytes, size, 0); });
}

Moved look_ahead(FdRef socket) {
  char byte;
  return moved([&] { return ::recv(socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
}

Moved send_pieces(FdRef socket, const iovec* pieces, size_t count, More more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  int flags = MSG_NOSIGNAL | (more == More::kFollows ? MSG_MORE : 0);
  return moved([&] { return ::sendmsg(socket.get(), &message, flags); });
}

Moved send_from_file(FdRef socket, FdRef file, uint64_t offset, size_t size) {
  return moved([&] {
    auto at = static_cast<off_t>(offset);
    return ::sendfile(socket.get(), file.get(), &at, size);
  });
}

Moved read_file(FdRef file, void* bytes, size_t size, uint64_t offset) {
  return moved([&] { return ::pread(file.get(), bytes, size, static_cast<off_t>(offset)); });
}

Moved write_file(FdRef file, const void* bytes, size_t size, uint64_t offset) {
  return moved([&] { return ::pwrite(file.get(), bytes, size, static_cast<off_t>(offset)); });
}

Moved append(FdRef file, const void* bytes, size_t size) {
  return moved([&] { return ::write(file.get(), bytes, size); });
}

Accepted accept_connection(FdRef listener) {
  static const int first_kept = first_kept_descriptor();
  Accepted out;
  out.peer.size = sizeof out.peer.storage;
  int fd = ::accept4(listener.get(), reinterpret_cast<sockaddr*>(&out.peer.storage), &out.peer.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    out.error = errno;
  } else if (fd >= first_kept) {
    ::close(fd);
    out.error = EMFILE;
  } else {
    out.fd.reset(fd);
  }
  return out;
}

SocketAddress own_address(FdRef socket) {
  SocketAddress out;
  out.size = sizeof out.storage;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&out.storage), &out.size) < 0) {
    out.size = 0;
  }
  return out;
}

namespace {
// 4 or 16 bytes within `address`; empty for other families.
std::string_view address_bytes(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const in_addr& in = reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr;
    return {reinterpret_cast<const char*>(&in), sizeof in};
  }
  if (address.storage.ss_family == AF_INET6) {
    const in6_addr& in6 = reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr;
    return {reinterpret_cast<const char*>(&in6), sizeof in6};
  }
  return {};
}
}  // namespace

std::string print_ip(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.size() != sizeof(in_addr) && bytes.size() != sizeof(in6_addr)) return {};
  const int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  return ::inet_ntop(family, bytes.data(), text, sizeof text) != nullptr ? text : "";
}

std::string print_ip(const SocketAddress& address) { return print_ip(address_bytes(address)); }

std::string ip_bytes(const SocketAddress& address) {
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  const std::string_view bytes = address_bytes(address);
  return std::string(bytes.starts_with(kMapped) ? bytes.substr(kMapped.size()) : bytes);
}

void set_no_delay(FdRef socket, bool on) {
  int value = on;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
}

void set_cork(FdRef socket, bool on) {
  int value = on;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

void set_reset_on_close(FdRef socket) {
  linger value{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

void shut_down_writing(FdRef socket) { ::shutdown(socket.get(), SHUT_WR); }

int pending_error(FdRef socket) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &value, &size) < 0 ? errno : value;
}

void set_nonblocking(FdRef fd) {
  int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
}

size_t unread_bytes(FdRef socket) {
  int value = 0;
  return ::ioctl(socket.get(), FIONREAD, &value) < 0 || value < 0 ? 0 : static_cast<size_t>(value);
}

}  // namespace bulkhead::sys
