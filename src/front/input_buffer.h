// The bytes of a client that have been received and not used up: one contiguous block.
//
// Runs in: front.  Input: hostile bytes, never looked at here.
// Threads: one loop.  Blocks come from a pool, so an idle connection holds none.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::front {

// Blocks of one size, kept for reuse.
class BlockPool {
 public:
  static constexpr size_t kBlock = 8192;
  static constexpr size_t kKept = 1024;  // blocks kept when nobody uses them
  using Block = std::unique_ptr<char[]>;

  [[nodiscard]] Block take() {
    if (free_.empty()) return Block(new char[kBlock]);
    Block block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  void give(Block block) {
    if (free_.size() < kKept) free_.push_back(std::move(block));
  }

 private:
  std::vector<Block> free_;
};

// Bytes [begin, end) of a block.  Growing moves them; nothing else does.
class InputBuffer {
 public:
  [[nodiscard]] std::string_view bytes() const { return {block_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] char* tail() { return block_.get() + end_; }
  [[nodiscard]] size_t room() const { return capacity_ - end_; }
  void received(size_t bytes) { end_ += bytes; }
  void consume(size_t bytes) { begin_ += bytes; }

  // Makes room for `bytes` in all, counted from begin; moves what is there to the front.
  void reserve(BlockPool& pool, size_t bytes) {
    if (bytes <= capacity_ - begin_) return;
    if (bytes <= capacity_) {
      std::memmove(block_.get(), block_.get() + begin_, size());
    } else {
      size_t capacity = bytes <= BlockPool::kBlock ? BlockPool::kBlock : bytes;
      BlockPool::Block larger =
          capacity == BlockPool::kBlock ? pool.take() : BlockPool::Block(new char[capacity]);
      if (size() > 0) std::memcpy(larger.get(), block_.get() + begin_, size());
      give_block(pool);
      block_ = std::move(larger);
      capacity_ = capacity;
    }
    end_ -= begin_;
    begin_ = 0;
  }
  // Adds bytes that came another way (read beyond the end of a body).
  void append(BlockPool& pool, std::string_view bytes) {
    reserve(pool, size() + bytes.size());
    std::memcpy(tail(), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  // Gives the block back when nothing is left in it.
  void release_if_empty(BlockPool& pool) {
    if (!empty()) return;
    give_block(pool);
    begin_ = end_ = capacity_ = 0;
  }
  void clear(BlockPool& pool) {
    begin_ = end_;
    release_if_empty(pool);
  }

 private:
  void give_block(BlockPool& pool) {
    if (block_ != nullptr && capacity_ == BlockPool::kBlock) pool.give(std::move(block_));
    block_.reset();
  }
  BlockPool::Block block_;
  size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace bulkhead::front
