#include "sys/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace bulkhead::sys {
namespace {

std::string raw(const void* address, size_t size) {
  return std::string(static_cast<const char*>(address), size);
}
const sockaddr* as_sockaddr(std::string_view bytes) {
  return reinterpret_cast<const sockaddr*>(bytes.data());
}
// Copies the bytes into storage that is aligned and large enough for any family.
sockaddr_storage stored(std::string_view bytes) {
  sockaddr_storage storage{};
  std::memcpy(&storage, bytes.data(), std::min(bytes.size(), sizeof storage));
  return storage;
}
std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.begin(), text.end(), port);
  if (error != std::errc() || end != text.end() || port == 0) return {};
  return port;
}

}  // namespace

Result<SocketPair> seqpacket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
    return fail_errno("socketpair() failed");
  }
  return SocketPair{Fd(fds[0]), Fd(fds[1])};
}

Status set_blocking(FdRef socket) {
  int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) {
    return fail_errno("fcntl(F_SETFL) failed");
  }
  return {};
}

std::string address_text(std::string_view sockaddr_bytes) {
  if (sockaddr_bytes.size() < sizeof(sa_family_t)) return {};
  sockaddr_storage storage = stored(sockaddr_bytes);
  char host[INET6_ADDRSTRLEN];
  if (storage.ss_family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(in->sin6_port));
  }
  return "unix:" + unix_path(sockaddr_bytes);
}

std::string unix_path(std::string_view sockaddr_bytes) {
  constexpr size_t kHead = offsetof(sockaddr_un, sun_path);
  if (sockaddr_bytes.size() <= kHead || stored(sockaddr_bytes).ss_family != AF_UNIX) return {};
  std::string_view path = sockaddr_bytes.substr(kHead);
  return std::string(path.substr(0, path.find('\0')));
}

std::string local_address(FdRef socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) < 0) return {};
  return raw(&storage, size);
}

bool is_listening(FdRef socket) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
         listening != 0;
}

Result<std::string> make_unix_address(std::string_view path) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail("the path of a unix socket is too long: \"" + std::string(path) + "\"");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return raw(&address, offsetof(sockaddr_un, sun_path) + path.size() + 1);
}

Result<std::string> make_inet_address(std::string_view host, uint16_t port) {
  std::string text(host);
  sockaddr_in in{};
  if (::inet_pton(AF_INET, text.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    return raw(&in, sizeof in);
  }
  sockaddr_in6 in6{};
  if (::inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr) == 1) {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    return raw(&in6, sizeof in6);
  }
  return fail("not an address: \"" + text + "\"");
}

Result<std::string> parse_pool_listen(std::string_view text) {
  if (text.starts_with('/')) return make_unix_address(text);
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    auto port = parse_port(text);
    if (!port) return fail("invalid port value '" + std::string(text) + "'");
    // A bare port listens on IPv6 and IPv4 alike.
    return make_inet_address("::", *port);
  }
  auto port = parse_port(text.substr(colon + 1));
  if (!port) return fail("invalid port value '" + std::string(text.substr(colon + 1)) + "'");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || host == "*") host = "0.0.0.0";
  if (auto literal = make_inet_address(host, *port)) return literal;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string name(host);
  if (int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &found); error != 0) {
    return fail("getaddrinfo() for '" + name + "' failed: " + ::gai_strerror(error));
  }
  std::string address = raw(found->ai_addr, found->ai_addrlen);
  sockaddr_storage storage = stored(address);
  if (found->ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(*port);
  } else {
    reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(*port);
  }
  ::freeaddrinfo(found);
  return raw(&storage, address.size());
}

Result<Fd> connect_unix(std::string_view path) {
  std::string address = TRY(make_unix_address(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("socket() failed");
  if (::connect(fd.get(), as_sockaddr(address), static_cast<socklen_t>(address.size())) < 0) {
    return fail_errno("connect() to unix:" + std::string(path) + " failed");
  }
  return fd;
}

Fd accept_one(FdRef listener) {
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

Result<uid_t> peer_uid(FdRef connection) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
    return fail_errno("getsockopt(SO_PEERCRED) failed");
  }
  return who.uid;
}

}  // namespace bulkhead::sys
