// A shared mapping of a sealed memfd, and the making of such memfds.
//
// Runs in: master (creates), front and pools (map).  Input: descriptors received from master.
#pragma once

#include <cstddef>
#include <utility>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& o) noexcept
      : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Mapping& operator=(Mapping&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Mapping();
  // Maps all of `memfd` read-write and shared.  Errors: its size is not exactly `size`, or it is
  // not sealed against shrinking and growing (an access could raise SIGBUS).
  static Result<Mapping> map(FdRef memfd, size_t size, const char* what);
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// A zeroed memfd of `size` bytes, sealed with F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL.
// For a site: create_shared("bell", kBellBytes), create_shared("segment", kSegmentBytes).
Result<Fd> create_shared(const char* name, size_t size);

// An empty memfd that grows as it is written.
Result<Fd> create_text(const char* name);

}  // namespace bulkhead::sys
