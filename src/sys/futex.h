// Sleeping on a word of memory that several processes share.
//
// Runs in: workers (sleep), front and pools (wake).  Input: the word may be hostile: a sleeper
// checks its condition again after every return.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>

namespace bulkhead::sys {

// Sleeps while `word` is `expected`, at most `timeout` (negative: for ever).  Returns early for any
// reason (woken, changed, signal); false only when the time is over.
inline bool futex_wait(std::atomic<uint32_t>& word, uint32_t expected,
                       std::chrono::nanoseconds timeout) {
  timespec time{};
  if (timeout.count() >= 0) {
    time.tv_sec = timeout.count() / 1'000'000'000;
    time.tv_nsec = timeout.count() % 1'000'000'000;
  }
  long r = ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, expected,
                     timeout.count() < 0 ? nullptr : &time, nullptr, 0);
  return !(r < 0 && errno == ETIMEDOUT);
}

// Wakes up to `count` sleepers.  Async-signal-safe but for errno.
inline void futex_wake(std::atomic<uint32_t>& word, int count = 1) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, count, nullptr, nullptr, 0);
}

}  // namespace bulkhead::sys
