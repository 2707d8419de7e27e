// Outgoing stream connections that never block.
//
// Runs in: front (FastCGI servers).  Input: addresses from configuration.
#pragma once

#include <cstdint>
#include <string_view>

#include "sys/fd.h"

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
// Whether the peer of an idle connection has neither sent anything nor closed.
bool is_quiet(FdRef socket);
// Whether two descriptors name the same open socket (one may have been passed between processes).
bool is_same_socket(FdRef a, FdRef b);

}  // namespace bulkhead::sys
