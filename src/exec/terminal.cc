#include "exec/terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace bulkhead::exec {

Result<Pty> Pty::create(sys::FdRef like, uid_t uid) {
  Pty pty;
  pty.master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.master.valid()) return fail_errno("no pty: posix_openpt() failed");
  if (::grantpt(pty.master.get()) != 0 || ::unlockpt(pty.master.get()) != 0) {
    return fail_errno("no pty: grantpt() failed");
  }
  pty.slave.reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.slave.valid()) return fail_errno("no pty: its other side cannot be opened");
  termios modes{};
  if (::tcgetattr(like.get(), &modes) == 0) ::tcsetattr(pty.slave.get(), TCSANOW, &modes);
  copy_window_size(like, pty.master);
  if (::geteuid() == 0) {
    if (::fchown(pty.slave.get(), uid, static_cast<gid_t>(-1)) != 0) {
      return fail_errno("no pty: fchown() failed");
    }
    ::fchmod(pty.slave.get(), 0600);
  }
  return pty;
}

RawMode::RawMode(sys::FdRef terminal) : terminal_(terminal) {
  known_ = ::tcgetattr(terminal.get(), &before_) == 0;
  enter();
}

RawMode::~RawMode() {
  if (known_) ::tcsetattr(terminal_.get(), TCSADRAIN, &before_);
}

void RawMode::enter() {
  if (!known_) return;
  termios raw = before_;
  ::cfmakeraw(&raw);
  ::tcsetattr(terminal_.get(), TCSADRAIN, &raw);
}

bool is_terminal(sys::FdRef fd) { return fd.valid() && ::isatty(fd.get()) == 1; }

void copy_window_size(sys::FdRef from, sys::FdRef to) {
  winsize size{};
  if (::ioctl(from.get(), TIOCGWINSZ, &size) == 0) ::ioctl(to.get(), TIOCSWINSZ, &size);
}

bool Relay::read_some() {
  char bytes[4096];
  ssize_t n = 0;
  do {
    n = ::read(from_.get(), bytes, sizeof bytes);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return true;
  if (n > 0) {
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }
  ended_ = true;  // a pty's master says EIO when nobody holds the other side
  return false;
}

void Relay::write_some() {
  const ssize_t n = ::write(to_.get(), buffer_.data(), std::min(buffer_.size(), kWriteMax));
  if (n > 0) {
    buffer_.erase(0, static_cast<size_t>(n));
  } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
    buffer_.clear();  // nobody reads it any more
    ended_ = true;
  }
}

}  // namespace bulkhead::exec
