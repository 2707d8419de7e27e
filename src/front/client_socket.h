// A client's connection as bytes: the socket, what is known of its readiness, and what was
// received.
//
// Runs in: front.  Input: hostile bytes.  Threads: one loop.
// Registered once, edge-triggered; the flags remember what epoll said until a call contradicts it.
#pragma once

#include "front/input_buffer.h"
#include "sys/fd.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

struct ClientSocket {
  sys::Fd fd;
  InputBuffer input;
  bool readable = false;     // a receive may bring something
  bool writable = true;      // a send may take something
  bool peer_closed = false;  // the peer will send no more, or the connection is broken
  bool no_delay = false;     // TCP_NODELAY is set
  bool is_unix = false;

  // Receives up to `size` bytes and updates `readable`.
  sys::Moved receive(char* to, size_t size) {
    if (!readable) return {0, EAGAIN};
    sys::Moved moved = sys::receive(fd, to, size);
    // A short read has emptied the queue; unless the end is near, epoll announces what comes later.
    if (moved.must_wait() || (moved.ok() && moved.bytes < size && !peer_closed)) readable = false;
    if (moved.ok() && moved.bytes == 0) peer_closed = true;
    return moved;
  }
  // Receives into the input buffer's free room.
  sys::Moved receive_more() {
    sys::Moved moved = receive(input.tail(), input.room());
    input.received(moved.bytes);
    return moved;
  }
  void reset() {
    fd.reset();
    readable = peer_closed = no_delay = is_unix = false;
    writable = true;
  }
};

}  // namespace bulkhead::front
