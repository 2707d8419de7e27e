// Gathers what PHP writes in small pieces, as php-fpm does, so that a response of many echoes
// becomes few frames.
//
// Runs in: worker.  Input: a script's output.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "php/request_source.h"

namespace bulkhead::php {

// php-fpm sends when 8 KiB have gathered, at flush() and at the end; so do we, so that a client
// sees the same progress.
class OutBuffer {
 public:
  static constexpr size_t kBytes = 8192;

  void start(RequestSource* source) {
    source_ = source;
    used_ = 0;
    discarded_ = 0;
  }
  // After fastcgi_finish_request() nobody listens: php-fpm accepts one buffer more, then reports an
  // aborted connection.
  void close() { source_ = nullptr; }
  [[nodiscard]] bool closed() const { return source_ == nullptr; }

  bool write(std::string_view bytes) {
    if (closed()) return (discarded_ += bytes.size()) <= kBytes;
    if (bytes.size() <= kBytes - used_) {
      std::memcpy(bytes_ + used_, bytes.data(), bytes.size());
      used_ += bytes.size();
      return true;
    }
    if (!send()) return false;
    if (bytes.size() >= kBytes) return source_->write_body(bytes);
    std::memcpy(bytes_, bytes.data(), bytes.size());
    used_ = bytes.size();
    return true;
  }
  // Hands on what has gathered.
  bool send() {
    if (closed()) return false;
    const size_t size = used_;
    used_ = 0;
    return size == 0 || source_->write_body({bytes_, size});
  }

 private:
  RequestSource* source_ = nullptr;
  size_t used_ = 0, discarded_ = 0;
  char bytes_[kBytes];
};

}  // namespace bulkhead::php
