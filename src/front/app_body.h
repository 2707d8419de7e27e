// The body of an application's response on its way to the client: straight from the ring while the
// client keeps up; when it does not, copied aside (memory, then a spool file) so that the worker
// gets free.
//
// Runs in: front.  Input: an application's output, hostile, passed on unread.
// Threads: one loop.  Ref: nginx 1.22 behaviour of fastcgi_buffering, fastcgi_buffers,
// fastcgi_max_temp_file_size.
#pragma once

#include <cstdint>
#include <string>

#include "front/app_stream.h"
#include "front/body_source.h"
#include "sys/fd.h"

namespace bulkhead::front {

class AppBody : public BodySource {
 public:
  struct Limits {
    bool buffering = true;  // false: what the client does not take, the application keeps
    size_t hold_bytes = 0;  // less than this waits for more, a flush or the end
    size_t memory_max = 0;  // copied aside in memory
    uint64_t file_max = 0;  // then in a spool file; 0: never
    int64_t length = -1;    // announced Content-Length; -1: none
  };
  // What became of the body, for the log.
  enum class Verdict : uint8_t { kFine, kTooLong, kTooShort };

  // `stream` stays the caller's and may be detached when it ends.
  void start(AppStream* stream, const Limits& limits);
  void reset();

  void next(BodyRun& run) override;
  void consumed(uint64_t bytes) override;

  // The client is slow: copies aside what the limits allow, so that the application can go on; at
  // most `budget` bytes.  Returns how many.
  uint64_t absorb(uint64_t budget = UINT64_MAX);
  // The last absorb() left something because of its budget alone.
  [[nodiscard]] bool cut_short() const { return cut_short_; }
  // absorb() wants a spool file.
  [[nodiscard]] bool wants_spool() const { return wants_spool_; }
  // The file, or an invalid descriptor: then memory is all there is.
  void give_spool(sys::Fd file);
  // What went wrong with the spool file, once; 0: nothing.
  [[nodiscard]] int take_spool_error() { return std::exchange(spool_error_, 0); }

  // Everything the application sent has been taken from it, and it has finished.
  [[nodiscard]] bool drained() const { return drained_; }
  // The stream is about to be destroyed; what was copied aside remains.
  void detach();
  [[nodiscard]] Verdict verdict() const { return verdict_; }
  [[nodiscard]] uint64_t taken() const { return taken_; }
  // Bytes copied aside in memory.
  [[nodiscard]] size_t in_memory() const { return memory_.size(); }

 private:
  void next_from_stream(BodyRun& run);
  void take(uint64_t bytes);
  // Peeks, leaving out what exceeds the announced length.
  bool peek(BodyRun& run);
  void keep(const BodyRun& run);
  bool spill(const BodyRun& run);
  void note_end();

  AppStream* stream_ = nullptr;
  Limits limits_;
  Verdict verdict_ = Verdict::kFine;
  bool flush_ = false, drained_ = false, wants_spool_ = false, cut_short_ = false;
  uint64_t taken_ = 0;    // body bytes taken from the stream, the ones too many left out
  std::string memory_;    // copied aside first
  size_t memory_at_ = 0;  // sent of it
  sys::Fd spool_;         // copied aside after memory_ was full
  uint64_t spool_at_ = 0, spool_end_ = 0;
  int spool_error_ = 0;
};

}  // namespace bulkhead::front
