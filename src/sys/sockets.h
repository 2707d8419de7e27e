// Sockets: pairs between our processes, and listening sockets with every option of `listen`.
//
// Runs in: master (binds), others (pairs).  Input: configuration (trusted).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

struct SocketPair {
  Fd first, second;
};
// A connected SOCK_SEQPACKET pair; both ends nonblocking and CLOEXEC.
[[nodiscard]] Result<SocketPair> seqpacket_pair();
// For an end whose process has no event loop.
Status set_blocking(FdRef socket);

// Options of an nginx `listen` directive (defaults: the kernel's).
struct ListenOptions {
  int backlog = 511;
  int rcvbuf = 0, sndbuf = 0;  // bytes, 0: leave
  int fastopen = 0;            // queue length, 0: off
  bool reuseport = false, deferred = false;
  std::optional<bool> ipv6only;
  struct {
    bool set = false, on = false;
    int idle_s = 0, interval_s = 0, count = 0;
  } keepalive;
};
// Who may connect to a unix socket.  Unset: what the umask leaves.
struct UnixAccess {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  mode_t mode = 0666;
  std::vector<uid_t> acl_users;  // when any is set: an ACL instead of owner and group
  std::vector<gid_t> acl_groups;
  friend bool operator==(const UnixAccess&, const UnixAccess&) = default;
};

// Which step failed, so that each dialect can word it.
struct ListenError {
  enum class Step : uint8_t { kSocket, kOption, kBind, kAccess, kListen } step = Step::kSocket;
  int errno_value = 0;
  std::string detail;  // option or call that failed
};
// Binds and listens; nonblocking, CLOEXEC.  `sockaddr` are the raw bytes of an address.
// A unix socket file that nobody listens on is replaced.
// `file` gets a descriptor (O_PATH) of that file, for change_unix_access; it stays invalid when
// somebody has replaced the file since.
std::expected<Fd, ListenError> listen_on(std::string_view sockaddr, const ListenOptions& options,
                                         const UnixAccess* access = nullptr, Fd* file = nullptr);
// Sets the options that may change while the socket listens (a socket inherited or kept).
void adjust_listener(FdRef socket, const ListenOptions& options);
// The file that a listening unix socket is bound to (O_PATH), wherever it was moved.
// Errors: EPERM without CAP_NET_ADMIN.  Ref: SIOCUNIXFILE, Linux >= 4.12, unix(7).
[[nodiscard]] Result<Fd> bound_file(FdRef socket);
// Gives the file of a socket that is in use another owner, group, mode and ACL; what `access`
// leaves open becomes ours (the owner) and goes (the ACL).  Works on the file itself, not on a path
// that somebody may have replaced.
Status change_unix_access(FdRef file, const UnixAccess& access);
// Removes a unix socket's file; leaves anything else that may be there by now.
void remove_socket(const std::string& path);

// "0.0.0.0:80", "[::1]:80", "unix:/run/x.sock"
[[nodiscard]] std::string address_text(std::string_view sockaddr);
// The address a socket is bound to, as raw sockaddr bytes; empty when it has none.
[[nodiscard]] std::string local_address(FdRef socket);
[[nodiscard]] bool is_listening(FdRef socket);
// The path of a unix address ("" for others and for abstract names).
[[nodiscard]] std::string unix_path(std::string_view sockaddr);
[[nodiscard]] Result<std::string> make_unix_address(std::string_view path);
// An IPv4 or IPv6 literal and a port.
[[nodiscard]] Result<std::string> make_inet_address(std::string_view host, uint16_t port);
// php-fpm's `listen` value: "/path", "port", "ip:port", "[ip6]:port", "host:port".
[[nodiscard]] Result<std::string> parse_pool_listen(std::string_view text);

// A stream connection to a unix socket, blocking.
[[nodiscard]] Result<Fd> connect_unix(std::string_view path);
// Accepts one connection (nonblocking, CLOEXEC); invalid when there is none.
[[nodiscard]] Fd accept_one(FdRef listener);
// The uid of the process on the other end of a unix connection.
[[nodiscard]] Result<uid_t> peer_uid(FdRef connection);

}  // namespace bulkhead::sys
