// Reads a request's body: into memory, into a spool file when it is large, straight on to an
// application, or nowhere.
//
// Runs in: front.  Input: hostile bytes.  Threads: one loop.  Blocks: writing a spool file may wait
// for the page cache.
// Ref: nginx 1.22 behaviour of client_body_buffer_size, client_max_body_size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/model.h"
#include "front/app_stream.h"
#include "front/client_socket.h"
#include "http/chunked.h"
#include "sys/fd.h"

namespace bulkhead::front {

class BodyReader {
 public:
  enum class Mode : uint8_t {
    kIdle,     // nobody has asked for the body
    kCollect,  // all of it before it is used
    kStream,   // a window of it, used as it comes
    kDiscard,  // to find the end of it only
  };
  enum class Step : uint8_t {
    kWait,   // the client must send more
    kYield,  // read enough for one turn of the loop: call again soon
    kFull,   // kStream: the window is full, use some of it
    kSpool,  // kCollect: does not fit in memory; give_spool() and go on
    kDone,   // the whole body has been read
    kFailed,
  };
  struct Failure {
    uint16_t status = 0;
    bool client_gone = false;  // nobody is left to answer
    config::LogLevel level = config::LogLevel::kInfo;
    std::string text;  // for the error log
  };
  static constexpr size_t kScratch = 16 * 1024;
  static constexpr size_t kSpoolStep = 128 * 1024;  // received and written at once to a spool file
  // A client that sends faster than it is read would keep the loop from everybody else.
  static constexpr uint64_t kTurnBytes = 256 * 1024;

  // A new request with this framing.  `length` counts only when not chunked.
  void describe(bool chunked, uint64_t length);
  [[nodiscard]] bool has_body() const { return chunked_ || length_ > 0; }
  [[nodiscard]] bool chunked() const { return chunked_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] bool complete() const { return complete_; }

  // Decides what happens to the body.  `buffer_max`: bytes in memory; `size_max`: 0 for no limit.
  void begin(Mode mode, size_t buffer_max, uint64_t size_max);
  // kCollect: from now on so many bytes in memory; what is there beyond goes to a spool file.
  void limit_memory(size_t buffer_max);
  // Reads what is there, kTurnBytes at most.
  Step pump(ClientSocket& socket);
  // The spool file asked for by Step::kSpool.
  void give_spool(sys::Fd file) { spool_ = std::move(file); }
  // There is none to be had: the request fails with 500.
  void refuse_spool(int error);
  [[nodiscard]] const Failure& failure() const { return failure_; }

  // ---- using a body that was collected ----
  [[nodiscard]] uint64_t received() const { return received_; }
  // The body if it is in memory only.
  [[nodiscard]] bool in_memory() const { return spooled_ == 0; }
  [[nodiscard]] std::string_view memory() const { return memory_; }
  // Starts handing the collected body over from byte `from` (again, for another peer).
  void rewind(uint64_t from);
  // The application that took part of a streamed body is gone: nobody can have the rest.
  void abandon_stream();
  // Hands as much over as `stream` takes; true when all of it was (and finish_body() called).
  // Errors: failed() when the spool file cannot be read.
  bool feed(AppStream& stream);
  // kStream: everything read so far was handed over.
  [[nodiscard]] bool window_empty() const { return memory_fed_ == memory_.size(); }
  [[nodiscard]] bool failed() const { return failure_.status != 0; }

  // Bytes read beyond the end of the body: the next request begins with them.
  [[nodiscard]] std::string_view surplus() const { return surplus_; }
  void reset();

 private:
  Step fail(uint16_t status, config::LogLevel level, std::string text, bool client_gone = false);
  Step pump_length(ClientSocket& socket);
  Step pump_chunked(ClientSocket& socket);
  // Decodes a piece of raw input; says how much of it was used.
  Step decode(std::string_view input, size_t& used);
  Step after_receive(const sys::Moved& moved);
  // Stores body bytes; returns how many fitted (all, unless kSpool or kFull is due).
  size_t store(std::string_view bytes);
  [[nodiscard]] bool is_full() const {
    return mode_ != Mode::kDiscard && memory_.size() >= buffer_max_;
  }
  // What a full memory means now.
  Step make_room();
  bool flush_to_spool();
  bool write_to_spool(std::string_view bytes);
  sys::Moved discard(ClientSocket& socket);
  sys::Moved receive_to_memory(ClientSocket& socket);
  sys::Moved receive_to_spool(ClientSocket& socket);
  Step finish();
  bool feed_window(AppStream& stream);
  bool feed_memory(AppStream& stream);
  bool feed_spooled(AppStream& stream);
  bool read_failed(const sys::Moved& moved);

  Mode mode_ = Mode::kIdle;
  bool chunked_ = false, complete_ = false, feeding_done_ = false;
  uint64_t length_ = 0, left_ = 0, received_ = 0, size_max_ = 0;
  uint64_t turn_left_ = 0;  // bytes that this pump() may still receive
  size_t buffer_max_ = 0;
  std::string memory_;     // collected bytes not in the spool, or the window
  size_t memory_fed_ = 0;  // kStream: bytes of memory_ already handed over
  sys::Fd spool_;
  uint64_t spooled_ = 0;  // bytes in the spool file
  uint64_t fed_ = 0;      // collected bytes handed over
  std::string raw_;       // chunked input received and not decoded
  std::string surplus_;
  http::ChunkedDecoder decoder_;
  Failure failure_;
};

}  // namespace bulkhead::front
