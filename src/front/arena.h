// Memory of one request: bump allocation from chunks that are kept between requests.
//
// Runs in: front.  Input: none of its own.
// Threads: one loop.  Everything handed out lives until reset(); nothing is destructed.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace bulkhead::front {

class Arena {
 public:
  // Uninitialised bytes, unaligned: for text.
  [[nodiscard]] char* allocate(size_t bytes) {
    if (bytes > left_) [[unlikely]]
      grow(bytes);
    char* at = next_;
    next_ += bytes;
    left_ -= bytes;
    return at;
  }
  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* at = allocate(text.size());
    memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  // Gives back the unused end of the newest allocation: it ends at `end` from now on.
  void shrink_last(const char* end) {
    left_ += static_cast<size_t>(next_ - end);
    next_ -= next_ - end;
  }
  // Forgets everything; keeps the first chunk.
  void reset() {
    if (chunks_.empty()) return;
    chunks_.resize(1);
    next_ = chunks_[0].bytes.get();
    left_ = chunks_[0].size;
  }

 private:
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };
  static constexpr size_t kChunk = 4096;
  void grow(size_t bytes) {
    size_t size = bytes > kChunk ? bytes : kChunk;
    chunks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
    next_ = chunks_.back().bytes.get();
    left_ = size;
  }
  std::vector<Chunk> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace bulkhead::front
