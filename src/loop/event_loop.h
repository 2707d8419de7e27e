// One thread's event loop: readiness (epoll), timers, work posted by other threads, and hooks that
// run before it sleeps.
//
// Runs in: front (one per loop thread), pool, bulkhead-files, master.
// Threads: everything belongs to the loop's thread except post() and stop().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::loop {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;

// Receives readiness of one descriptor.  `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR ...
// bits. The handler may remove or destroy itself, or others, inside on_ready.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  virtual void on_ready(uint32_t events) = 0;
};

class EventLoop;

// A timer in a binary heap; cheap to re-arm later (lazy).  Destroying it cancels it.
class Timer {
 public:
  explicit Timer(std::function<void()> fire) : fire_(std::move(fire)) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  // Fires once, `delay` from the loop's now(), unless cancelled or re-armed.
  void arm(EventLoop& loop, Millis delay);
  void cancel();
  [[nodiscard]] bool armed() const { return armed_; }

 private:
  friend class EventLoop;
  std::function<void()> fire_;
  EventLoop* loop_ = nullptr;
  Clock::time_point due_{};     // when it should fire
  Clock::time_point queued_{};  // key in the heap (<= due_ when re-armed later)
  size_t heap_index_ = SIZE_MAX;
  bool armed_ = false;
};

// Polled once per iteration before the loop sleeps; used by rings to read without system calls.
class Poller {
 public:
  virtual ~Poller() = default;
  // Does the work there is; returns true if it did any (the loop then polls again before sleeping).
  virtual bool poll() = 0;
  // An iteration's events are handled: tell others of what gathered.
  virtual void end_turn() {}
  // Asks for a wake-up through a descriptor; returns false if work arrived meanwhile (do not
  // sleep).
  virtual bool prepare_sleep() = 0;
  // How long spinning is worth it now (0: sleep at once).
  virtual Micros spin_budget() { return Micros(0); }
};

class EventLoop {
 public:
  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();

  // `events`: EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP | EPOLLEXCLUSIVE ...; the handler is not
  // owned and must be removed before it dies.
  Status add(sys::FdRef fd, uint32_t events, IoHandler* handler);
  Status modify(sys::FdRef fd, uint32_t events, IoHandler* handler);
  void remove(sys::FdRef fd, IoHandler* handler);

  void add_poller(Poller* poller);
  void remove_poller(Poller* poller);

  // Runs `work` on this loop soon.  Threads: any.
  void post(std::function<void()> work);
  // Runs `work` at the end of this iteration (deferred deletes).  Threads: the loop's own.
  void defer(std::function<void()> work);

  // Runs until stop().
  void run();
  // One iteration; waits at most `timeout` (negative: until something happens).
  void run_once(Millis timeout);
  // Threads: any.
  void stop();

  [[nodiscard]] Clock::time_point now() const { return now_; }
  // Seconds since the epoch and milliseconds within it, refreshed once per iteration.
  [[nodiscard]] int64_t wall_seconds() const { return wall_seconds_; }
  [[nodiscard]] uint32_t wall_millis() const { return wall_millis_; }
  void refresh_time();

 private:
  friend class Timer;
  EventLoop() = default;
  void fire_timers();
  void heap_up(size_t i);
  void heap_down(size_t i);
  void heap_remove(size_t i);
  Millis until_next_timer() const;

  struct Registration;
  sys::Fd epoll_, wake_;
  Clock::time_point now_{};
  int64_t wall_seconds_ = 0;
  uint32_t wall_millis_ = 0;
  std::vector<Timer*> heap_;
  std::vector<Poller*> pollers_;
  std::vector<std::function<void()>> deferred_;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::vector<std::pair<IoHandler*, uint32_t>>
      ready_;  // handlers of the current batch; removed ones are nulled
  std::atomic<bool> stop_{false};
};

}  // namespace bulkhead::loop
