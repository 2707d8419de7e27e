// A timeout that is set and cleared for every request and almost never reached.
//
// Runs in: front.  Threads: one loop.
// clear() leaves the timer queued; setting a later time again costs no work on the heap.
#pragma once

#include <functional>
#include <utility>

#include "loop/event_loop.h"

namespace bulkhead::front {

class Deadline {
 public:
  explicit Deadline(std::function<void()> expire)
      : expire_(std::move(expire)), timer_([this] {
          if (std::exchange(active_, false)) expire_();
        }) {}

  void set(loop::EventLoop& loop, loop::Millis delay) {
    active_ = true;
    timer_.arm(loop, delay);
  }
  void clear() { active_ = false; }
  [[nodiscard]] bool active() const { return active_; }
  // Forgets the queued timer too: for objects that are put away.
  void cancel() {
    active_ = false;
    timer_.cancel();
  }

 private:
  std::function<void()> expire_;
  bool active_ = false;
  loop::Timer timer_;
};

}  // namespace bulkhead::front
