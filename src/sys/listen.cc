// Listening sockets: options in the order the kernel wants them, and who may connect to a path.
//
// Runs in: master.  Input: configuration (trusted).
#include <acl/libacl.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/acl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/files.h"
#include "sys/sockets.h"

namespace bulkhead::sys {
namespace {

using Step = ListenError::Step;

std::unexpected<ListenError> failed(Step step, std::string detail, int error = errno) {
  return std::unexpected(ListenError{step, error, std::move(detail)});
}
bool set_int(FdRef socket, int level, int option, int value) {
  return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}
socklen_t length(std::string_view address) { return static_cast<socklen_t>(address.size()); }
const sockaddr* pointer(std::string_view address) {
  return reinterpret_cast<const sockaddr*>(address.data());
}

// Options that must be set before bind(); the name of the first that failed, or nothing.
const char* set_early_options(FdRef socket, int family, const ListenOptions& o) {
  if (!set_int(socket, SOL_SOCKET, SO_REUSEADDR, 1)) return "SO_REUSEADDR";
  if (o.reuseport && !set_int(socket, SOL_SOCKET, SO_REUSEPORT, 1)) return "SO_REUSEPORT";
  if (family == AF_INET6) {
    // nginx's default: an IPv6 socket takes only IPv6.
    if (!set_int(socket, IPPROTO_IPV6, IPV6_V6ONLY, o.ipv6only.value_or(true) ? 1 : 0)) {
      return "IPV6_V6ONLY";
    }
  }
  return nullptr;
}

// Nobody answers on the path: the file was left behind by a server that died.
bool is_stale(std::string_view address) {
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe.valid() && ::connect(probe.get(), pointer(address), length(address)) < 0 &&
         errno == ECONNREFUSED;
}

// The socket file that bind() has just made, to change it by descriptor: its directory may belong
// to a site, which replaces there what it likes at any moment.
Result<Fd> open_own_socket(const std::string& path) {
  std::string name;
  Fd directory = TRY(open_directory_of(path, &name));
  Fd socket(::openat(directory.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!socket.valid() || ::fstat(socket.get(), &info) < 0) return fail_errno("open() failed");
  if (!S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid()) {
    return fail_errno("somebody replaced it", ELOOP);
  }
  return socket;
}

bool add_acl_entry(acl_t* acl, acl_tag_t tag, const id_t id) {
  acl_entry_t entry;
  acl_permset_t rights;
  return ::acl_create_entry(acl, &entry) == 0 && ::acl_set_tag_type(entry, tag) == 0 &&
         ::acl_set_qualifier(entry, &id) == 0 && ::acl_get_permset(entry, &rights) == 0 &&
         ::acl_clear_perms(rights) == 0 && ::acl_add_perm(rights, ACL_READ) == 0 &&
         ::acl_add_perm(rights, ACL_WRITE) == 0;
}

std::string by_descriptor(FdRef file) { return "/proc/self/fd/" + std::to_string(file.get()); }

bool has_acl(const UnixAccess& access) {
  return !access.acl_users.empty() || !access.acl_groups.empty();
}

// Mode and ACL in one: the entries beside those of the mode, which also bound them (the mask).
Status set_acl(FdRef file, const UnixAccess& access) {
  acl_t acl = ::acl_from_mode(access.mode);
  if (acl == nullptr) return fail_errno("acl_from_mode() failed");
  bool ok = true;
  for (uid_t uid : access.acl_users) ok = ok && add_acl_entry(&acl, ACL_USER, uid);
  for (gid_t gid : access.acl_groups) ok = ok && add_acl_entry(&acl, ACL_GROUP, gid);
  if (has_acl(access)) ok = ok && ::acl_calc_mask(&acl) == 0;
  ok = ok && ::acl_valid(acl) == 0 &&
       ::acl_set_file(by_descriptor(file).c_str(), ACL_TYPE_ACCESS, acl) == 0;
  int error = errno;
  ::acl_free(acl);
  if (!ok) return fail_errno("failed to write the ACL of the socket", error);
  return {};
}

// A new socket's owner or ACL; its mode came with bind().
Status set_unix_access(FdRef file, const std::string& path, const UnixAccess& access) {
  if (has_acl(access)) {
    if (auto set = set_acl(file, access); !set) {
      return fail_errno(set.error().text + " '" + path + "'", set.error().errno_value);
    }
  } else if (::fchownat(file.get(), "", access.uid.value_or(static_cast<uid_t>(-1)),
                        access.gid.value_or(static_cast<gid_t>(-1)), AT_EMPTY_PATH) < 0) {
    return fail_errno("failed to chown() the socket '" + path + "'");
  }
  return {};
}

// A socket file is created without rights for others, then opened up: nobody connects in between.
std::expected<void, ListenError> bind_unix(FdRef socket, std::string_view address,
                                           const UnixAccess* access, Fd* file) {
  std::string path = unix_path(address);
  // bind() itself follows every link on the way, also one that a site has placed.
  std::string name;
  if (auto directory = open_directory_of(path, &name);
      !path.empty() && !directory && directory.error().errno_value == ELOOP) {
    return failed(Step::kBind, "bind()", ELOOP);
  }
  mode_t old = ::umask(access != nullptr ? (0777 & ~access->mode) : 0111);
  int result = ::bind(socket.get(), pointer(address), length(address));
  if (result < 0 && errno == EADDRINUSE && !path.empty() && is_stale(address)) {
    remove_socket(path);
    result = ::bind(socket.get(), pointer(address), length(address));
  }
  int error = errno;
  ::umask(old);
  if (result < 0) return failed(Step::kBind, "bind()", error);
  if (path.empty() || access == nullptr) return {};
  auto own = bound_file(socket);
  if (!own) own = open_own_socket(path);
  if (has_acl(*access) || access->uid || access->gid) {
    if (!own) {
      remove_socket(path);
      return failed(Step::kAccess, "failed to chown() the socket '" + path + "'",
                    own.error().errno_value);
    }
    if (auto set = set_unix_access(*own, path, *access); !set) {
      remove_socket(path);
      return failed(Step::kAccess, set.error().text, set.error().errno_value);
    }
  }
  if (own && file != nullptr) *file = std::move(*own);
  return {};
}

}  // namespace

Result<Fd> bound_file(FdRef socket) {
  Fd file(::ioctl(socket.get(), SIOCUNIXFILE));
  if (!file.valid()) return fail_errno("ioctl(SIOCUNIXFILE) failed");
  return file;
}

Status change_unix_access(FdRef file, const UnixAccess& access) {
  std::string name = by_descriptor(file);
  struct stat now {};
  if (::fstat(file.get(), &now) < 0) return fail_errno("fstat() failed");
  bool by_acl = has_acl(access);
  uid_t uid = by_acl ? ::geteuid() : access.uid.value_or(::geteuid());
  gid_t gid = by_acl ? ::getegid() : access.gid.value_or(::getegid());
  if (now.st_uid != uid || now.st_gid != gid) {
    // Whoever loses it or gets it never has more than both the old mode and the new one allow.
    if (::chmod(name.c_str(), now.st_mode & access.mode) < 0) return fail_errno("chmod() failed");
    if (::fchownat(file.get(), "", uid, gid, AT_EMPTY_PATH) < 0) {
      int error = errno;
      ::chmod(name.c_str(), now.st_mode & 07777);
      return fail_errno("chown() failed", error);
    }
  }
  if (by_acl || ::acl_extended_file(name.c_str()) > 0) TRY_STATUS(set_acl(file, access));
  // With an ACL the group's part of the mode is the ACL's mask: set already.
  if (!by_acl && ::chmod(name.c_str(), access.mode) < 0) return fail_errno("chmod() failed");
  return {};
}

void remove_socket(const std::string& path) {
  std::string name;
  auto directory = open_directory_of(path, &name);
  struct stat info {};
  if (!directory || ::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
    return;
  }
  if (S_ISSOCK(info.st_mode)) ::unlinkat(directory->get(), name.c_str(), 0);
}

void adjust_listener(FdRef socket, const ListenOptions& o) {
  if (o.rcvbuf > 0) set_int(socket, SOL_SOCKET, SO_RCVBUF, o.rcvbuf);
  if (o.sndbuf > 0) set_int(socket, SOL_SOCKET, SO_SNDBUF, o.sndbuf);
  if (o.keepalive.set) {
    set_int(socket, SOL_SOCKET, SO_KEEPALIVE, o.keepalive.on ? 1 : 0);
    if (o.keepalive.idle_s > 0) set_int(socket, IPPROTO_TCP, TCP_KEEPIDLE, o.keepalive.idle_s);
    if (o.keepalive.interval_s > 0) {
      set_int(socket, IPPROTO_TCP, TCP_KEEPINTVL, o.keepalive.interval_s);
    }
    if (o.keepalive.count > 0) set_int(socket, IPPROTO_TCP, TCP_KEEPCNT, o.keepalive.count);
  }
  if (o.fastopen > 0) set_int(socket, IPPROTO_TCP, TCP_FASTOPEN, o.fastopen);
  if (o.deferred) set_int(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
  ::listen(socket.get(), o.backlog < 0 ? SOMAXCONN : o.backlog);
}

std::expected<Fd, ListenError> listen_on(std::string_view sockaddr_bytes,
                                         const ListenOptions& options, const UnixAccess* access,
                                         Fd* file) {
  int family = pointer(sockaddr_bytes)->sa_family;
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failed(Step::kSocket, "socket()");
  if (family == AF_UNIX) {
    if (auto bound = bind_unix(socket, sockaddr_bytes, access, file); !bound) {
      return std::unexpected(bound.error());
    }
  } else {
    if (const char* option = set_early_options(socket, family, options)) {
      return failed(Step::kOption, option);
    }
    if (::bind(socket.get(), pointer(sockaddr_bytes), length(sockaddr_bytes)) < 0) {
      return failed(Step::kBind, "bind()");
    }
  }
  int backlog = options.backlog < 0 ? SOMAXCONN : options.backlog;
  if (::listen(socket.get(), backlog) < 0) return failed(Step::kListen, "listen()");
  adjust_listener(socket, options);
  return socket;
}

}  // namespace bulkhead::sys
