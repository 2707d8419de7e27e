// Owning and borrowed descriptors.  A raw int descriptor lives only in src/sys.
#pragma once

#include <utility>

namespace bulkhead::sys {

// A borrowed descriptor; the owner outlives it.  get() is for src/sys and for calls into libraries.
class FdRef {
 public:
  constexpr FdRef() = default;
  constexpr explicit FdRef(int fd) : fd_(fd) {}
  [[nodiscard]] constexpr int get() const { return fd_; }
  [[nodiscard]] constexpr bool valid() const { return fd_ >= 0; }
  friend constexpr bool operator==(FdRef, FdRef) = default;

 private:
  int fd_ = -1;
};

// Owns one descriptor and closes it.  Threads: as any value type.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] FdRef ref() const { return FdRef(fd_); }
  operator FdRef() const { return FdRef(fd_); }  // NOLINT: borrowing is always safe to write
  // Gives the descriptor away.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace bulkhead::sys
