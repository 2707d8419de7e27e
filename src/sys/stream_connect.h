// Outgoing stream connections that never block.
//
// Runs in: front (FastCGI servers over TCP), opener (Unix sockets).  Input: addresses from
// configuration; a path may hold values of a request.
#pragma once

#include <cstdint>
#include <string_view>

#include "sys/fd.h"
#include "sys/open_beneath.h"

namespace bulkhead::sys {

// A connection under way: ready at once, or when the socket becomes writable (ask pending_error()).
struct Connecting {
  enum class Step : uint8_t { kSocket, kConnect } step = Step::kConnect;  // what failed
  Fd fd;
  bool in_progress = false;
  int error = 0;  // errno; then fd is not valid
};
// `sockaddr` are the raw bytes of an IPv4, IPv6 or unix address.  TCP gets TCP_NODELAY.
Connecting connect_stream(std::string_view sockaddr);
// A connection to the Unix stream socket at `query.path`, which is looked up as files are: a link
// is followed only by the rule.  Errors: errno as connect(2) would give; EAGAIN: the server's queue
// is full.  Needs /proc.
[[nodiscard]] int connect_unix(const PathQuery& query, Fd& fd);
// Whether the peer of an idle connection has neither sent anything nor closed.
bool is_quiet(FdRef socket);
// Whether two descriptors name the same open socket (one may have been passed between processes).
bool is_same_socket(FdRef a, FdRef b);

}  // namespace bulkhead::sys
