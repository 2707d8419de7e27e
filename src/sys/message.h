// One SOCK_SEQPACKET datagram with descriptors: the only way our processes talk to each other.
//
// Runs in: every process.  Input: a datagram from a less privileged process is hostile.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sys/fd.h"

namespace bulkhead::sys {

constexpr size_t kMessageFdsMax = 96;  // Linux takes 253 (SCM_MAX_FD)

enum class SendResult : uint8_t {
  kSent,
  kWouldBlock,  // the peer's queue is full: try again when writable
  kClosed,      // the peer is gone, or errno says what else; nothing was sent
};
// Sends `head` then `body` as one datagram.  At most kMessageFdsMax descriptors, which stay the
// caller's.  Blocks: only when the socket is a blocking one.
[[nodiscard]] SendResult send_message(FdRef socket, std::string_view head, std::string_view body,
                                      std::span<const FdRef> fds = {});

enum class ReceiveResult : uint8_t {
  kMessage,
  kWouldBlock,
  kClosed,   // end of stream, or a dead socket
  kInvalid,  // longer than `buffer`, or more descriptors than fit: its descriptors were closed
};
// Receives one datagram into `buffer`; `*size` and `*fds` say what came (fds are CLOEXEC).
// Blocks: only when the socket is a blocking one.
[[nodiscard]] ReceiveResult receive_message(FdRef socket, std::span<char> buffer, size_t* size,
                                            std::vector<Fd>* fds);

}  // namespace bulkhead::sys
