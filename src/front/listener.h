// One listening socket on one loop: takes connections in bounded batches and hands them on.
//
// Runs in: front.  Input: none (accepts; reads nothing).
// Threads: one loop.  The socket itself is shared by all loops; EPOLLEXCLUSIVE wakes one of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "config/model.h"
#include "loop/event_loop.h"
#include "sys/fd.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

constexpr int kAcceptBatch = 1;        // as nginx without multi_accept: spreads over the loops
constexpr int kAcceptBatchMulti = 64;  // with it
// The kernel wakes the loop that registered first; after this many connections a loop goes to the
// end of that queue, so that all of them get their share.
constexpr uint32_t kAcceptTurn = 8;
// After running out of descriptors a listener rests this long.
constexpr loop::Millis kAcceptRest{500};

struct Listener : public loop::IoHandler {
  using OnAccept = std::function<void(Listener&, sys::Accepted)>;

  Listener(loop::EventLoop& loop, std::shared_ptr<sys::Fd> socket, std::string text,
           OnAccept on_accept);
  ~Listener() override;
  Status start();
  void stop();
  // Accepts nothing for kAcceptRest.
  void rest();
  void on_ready(uint32_t events) override;

  std::string text;                // "0.0.0.0:80", as configured
  uint32_t index = config::kNone;  // into the current Model::listens; kNone: no longer configured
  uint32_t site = 0;               // a pool's FastCGI socket: whose
  bool multi_accept = false;
  [[nodiscard]] const std::shared_ptr<sys::Fd>& socket() const { return socket_; }

 private:
  loop::EventLoop& loop_;
  std::shared_ptr<sys::Fd> socket_;
  OnAccept on_accept_;
  loop::Timer resume_;
  bool started_ = false;
  uint32_t taken_ = 0;  // since the last move to the end of the kernel's queue
};

}  // namespace bulkhead::front
