// Bytes in and out of stream sockets and files, each system call wrapped once.
//
// Runs in: front, pool.  Input: descriptors of clients and of sites' files; the bytes are not
// looked at. Threads: any; nothing is kept between calls.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// What one transfer did: `bytes` moved (0 at the end of input), or `error` (an errno).
struct Moved {
  size_t bytes = 0;
  int error = 0;
  [[nodiscard]] bool ok() const { return error == 0; }
  [[nodiscard]] bool must_wait() const;  // EAGAIN
};

enum class More : uint8_t { kNo, kFollows };  // kFollows: more bytes come at once (MSG_MORE)

// Errors: Moved::error.  Never raise SIGPIPE; interrupted calls are repeated.
Moved receive(FdRef socket, void* bytes, size_t size);
// Looks at the next byte without taking it: bytes 0 means the peer has closed.
Moved look_ahead(FdRef socket);
Moved send_pieces(FdRef socket, const iovec* pieces, size_t count, More more);
// Sends file bytes from `offset` without copying them through this process.
Moved send_from_file(FdRef socket, FdRef file, uint64_t offset, size_t size);
Moved read_file(FdRef file, void* bytes, size_t size, uint64_t offset);
Moved write_file(FdRef file, const void* bytes, size_t size, uint64_t offset);
// One write at the end of a log: lines of several threads do not mix.
Moved append(FdRef file, const void* bytes, size_t size);

// A peer's or own address as the kernel gave it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};
// A connection taken from a listening socket: nonblocking, close-on-exec.
struct Accepted {
  Fd fd;
  SocketAddress peer;
  int error = 0;
};
// EMFILE already when only the last few descriptors are left.
Accepted accept_connection(FdRef listener);
SocketAddress own_address(FdRef socket);
// "127.0.0.1", "::1"; "" for other families.
std::string print_ip(const SocketAddress& address);
// The same of 4 or 16 address bytes.
std::string print_ip(std::string_view bytes);
// 4 or 16 address bytes, an IPv4 address in IPv6 form as 4; "" for other families.
std::string ip_bytes(const SocketAddress& address);

// Options of a connection; a failure is harmless to the bytes and therefore not reported.
void set_no_delay(FdRef socket, bool on);
void set_cork(FdRef socket, bool on);
// close() will send a reset instead of what is queued.
void set_reset_on_close(FdRef socket);
// Tells the peer that nothing more comes.
void shut_down_writing(FdRef socket);
int pending_error(FdRef socket);
void set_nonblocking(FdRef fd);
// Bytes in the receive queue that nobody has read.
size_t unread_bytes(FdRef socket);

}  // namespace bulkhead::sys
