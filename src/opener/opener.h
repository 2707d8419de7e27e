// Opens a site's files for front, as the site's user: the server end of ipc/site_channel.h.
//
// Runs in: a site's pool (inside its loop) and bulkhead-files, already as the site's user.
// Input: front's messages (sizes checked; a bad one closes that channel); the site's file system,
// which the site may change at any moment.
// Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "ipc/site_channel.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::opener {

class Opener {
 public:
  struct Hooks {
    std::function<void()> spawn;   // FileOp::kSpawn: a request waits and no worker is idle
    std::function<void()> closed;  // the last channel closed (front is gone)
  };
  // Serves `channels` (one per loop of front) on `loop` until destroyed.
  static Result<std::unique_ptr<Opener>> create(loop::EventLoop& loop,
                                                std::vector<sys::Fd> channels, Hooks hooks);
  ~Opener();
  // When the last message came (loop time); for idle timeouts.
  [[nodiscard]] loop::Clock::time_point last_active() const { return last_active_; }
  [[nodiscard]] size_t channels_open() const { return open_; }

 private:
  class Channel;
  Opener(loop::EventLoop& loop, Hooks hooks);
  void channel_closed();

  loop::EventLoop& loop_;
  Hooks hooks_;
  std::vector<std::unique_ptr<Channel>> channels_;
  size_t open_ = 0;
  loop::Clock::time_point last_active_;
};

}  // namespace bulkhead::opener
