// Where the bytes of a response body come from, a stretch at a time.
//
// Runs in: front.  Input: files of sites and output of applications (hostile, passed on unread).
// Threads: one loop.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "front/exchange.h"
#include "sys/fd.h"

namespace bulkhead::front {

// What can be sent next.
struct BodyRun {
  enum class Kind : uint8_t {
    kWait,    // nothing now; the source will say when there is more
    kMemory,  // `pieces`
    kFile,    // `size` bytes of `file` from `offset`
    kEnd,     // nothing more, ever
    kBroken,  // the body cannot be completed: the connection must be cut
  };
  static constexpr size_t kPiecesMax = 24;

  Kind kind = Kind::kWait;
  bool last = false;   // nothing follows these bytes
  bool flush = false;  // with kWait: what was composed before must not be held back any longer
  uint64_t size = 0;
  size_t count = 0;
  std::array<iovec, kPiecesMax> pieces;
  sys::FdRef file;
  uint64_t offset = 0;

  void add(const void* bytes, size_t n) {
    pieces[count++] = {const_cast<void*>(bytes), n};
    size += n;
  }
  // Leaves only the first `limit` bytes.
  void clip(uint64_t limit);
};

class BodySource {
 public:
  virtual ~BodySource() = default;
  // Describes what can be sent now; the same bytes again until consumed() says otherwise.
  virtual void next(BodyRun& run) = 0;
  // The first `bytes` of the last run were sent.
  virtual void consumed(uint64_t bytes) = 0;
};

// A response whose pieces are known: text and stretches of Response::file.
class PiecesBody : public BodySource {
 public:
  void start(const Response& response) {
    response_ = &response;
    index_ = 0;
    done_in_piece_ = 0;
  }
  void next(BodyRun& run) override;
  void consumed(uint64_t bytes) override;

 private:
  [[nodiscard]] static uint64_t size_of(const BodyPiece& piece) {
    return piece.text.empty() ? piece.size : piece.text.size();
  }
  // The bytes of a piece if they are in memory; null for a stretch of a file that is not.
  [[nodiscard]] const char* memory_of(const BodyPiece& piece) const;
  const Response* response_ = nullptr;
  size_t index_ = 0;
  uint64_t done_in_piece_ = 0;
};

}  // namespace bulkhead::front
