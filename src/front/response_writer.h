// Sends one response: its head, then the body with or without chunked framing, in as few system
// calls as the sizes allow (a small response is one).
//
// Runs in: front.  Input: a head made by us; body bytes are passed on unread.
// Threads: one loop.  Blocks: never.
#pragma once

#include <cstdint>
#include <string>

#include "front/body_source.h"
#include "front/client_socket.h"
#include "front/exchange.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

class ResponseWriter {
 public:
  enum class Outcome : uint8_t {
    kDone,     // everything is in the kernel's hands
    kBlocked,  // the socket is full: call again when it is writable
    kStarved,  // the source has nothing now: call again when it has
    kYield,    // sent enough for one turn of the loop: call again soon
    kPaused,   // limit_rate: call again after pause()
    kBroken,   // the source cannot complete the body: cut the connection
    kFailed,   // the client is gone; error() and call() say how
  };

  // Begins ex.head and ex.response's body, which comes from `source` (null: there is none).  With
  // header_only the source may only say when the response has ended.
  // ex and source live until kDone or reset().
  // One turn never sends more than kTurnBytes, so that a fast client leaves the others their turns.
  // `rate`: bytes per second after the first `rate_after`, 0: as fast as the client takes them.
  static constexpr uint64_t kTurnBytes = 512 * 1024;
  struct Pace {
    uint64_t bytes_per_turn = 0;  // 0: kTurnBytes
    uint64_t rate = 0, rate_after = 0;
  };
  void start(Exchange& ex, BodySource* source, const Pace& pace);
  // Sends what can be sent and counts it in the exchange.
  Outcome pump(ClientSocket& socket, loop::Clock::time_point now);
  void reset() { ex_ = nullptr; }

  [[nodiscard]] bool active() const { return ex_ != nullptr; }
  // Whether a byte of the response has left.
  [[nodiscard]] bool begun() const { return ex_ != nullptr && ex_->bytes_sent > 0; }
  [[nodiscard]] loop::Millis pause() const { return pause_; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const char* call() const { return call_; }

 private:
  enum class Sent : uint8_t { kAll, kBlocked, kFailed, kTruncated };
  // Describes the next stretch and frames it; nothing when there is something to send.
  bool compose(BodyRun& run, Outcome& outcome);
  void frame(BodyRun& run);
  void append_end();
  bool within_rate(BodyRun& run, loop::Clock::time_point now);
  Sent send_memory(ClientSocket& socket, BodyRun& run);
  Sent send_file(ClientSocket& socket, BodyRun& run);
  // Sends head and framing, `more` to follow; the body pieces of `run` with them if any.
  Sent transmit(ClientSocket& socket, const BodyRun* run, sys::More more);
  void account(size_t bytes, const BodyRun* run);
  [[nodiscard]] size_t framing_left() const {
    return (ex_->head.size() - head_sent_) + (framing_.size() - framing_sent_);
  }

  Exchange* ex_ = nullptr;
  BodySource* source_ = nullptr;
  size_t head_sent_ = 0;
  std::string framing_;  // chunk headers and ends that precede the next body bytes
  size_t framing_sent_ = 0;
  std::string suffix_;       // what follows the body bytes of this run, when they are the last
  uint64_t chunk_left_ = 0;  // body bytes of the announced chunk that were not sent
  bool chunked_ = false, chunk_open_ = false, ended_ = false;
  Pace pace_;
  uint64_t turn_left_ = 0;
  loop::Clock::time_point rate_started_{};
  loop::Millis pause_{0};
  int error_ = 0;
  const char* call_ = "send";
};

}  // namespace bulkhead::front
