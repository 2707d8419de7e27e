// A terminal for the command that is not ours: a pty, and the relay between it and the real one.
//
// Runs in: bulkhead.  Input: keys of the person, passed on; output of the command, passed on as it
// is (as ssh does: a command can write any sequence to the terminal of who runs it).
#pragma once

#include <termios.h>

#include <string>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::exec {

// A pty.  The real terminal's descriptor never leaves this process: whoever holds it could type
// into the shell that comes after us (TIOCSTI) or change its modes.
struct Pty {
  sys::Fd master, slave;
  // With the modes and the size of `like`; the slave belongs to `uid` when we are root.
  static Result<Pty> create(sys::FdRef like, uid_t uid);
};

// The real terminal in raw mode, until destroyed.
class RawMode {
 public:
  explicit RawMode(sys::FdRef terminal);
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  // Again, after somebody else used the terminal while we were stopped.
  void enter();

 private:
  sys::FdRef terminal_;
  termios before_{};
  bool known_ = false;
};

[[nodiscard]] bool is_terminal(sys::FdRef fd);
void copy_window_size(sys::FdRef from, sys::FdRef to);

// One direction of a relay: reads into a bounded buffer, writes when the other side takes it.  Both
// descriptors may block; poll() says when they would not, and not more than one pipe buffer is
// written at once.
class Relay {
 public:
  Relay(sys::FdRef from, sys::FdRef to) : from_(from), to_(to) {}
  [[nodiscard]] bool wants_read() const { return !ended_ && buffer_.size() < kBufferMax; }
  [[nodiscard]] bool wants_write() const { return !buffer_.empty(); }
  [[nodiscard]] sys::FdRef from() const { return from_; }
  [[nodiscard]] sys::FdRef to() const { return to_; }
  // False: nothing was there (end of input, or the source is gone).
  bool read_some();
  void write_some();
  [[nodiscard]] bool ended() const { return ended_; }

  static constexpr size_t kBufferMax = 64 * 1024;
  static constexpr size_t kWriteMax = 512;  // a terminal that says it is writable takes these

 private:
  sys::FdRef from_, to_;
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace bulkhead::exec
