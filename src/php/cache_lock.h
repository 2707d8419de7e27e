// opcache's usage lock without its system calls: libphp locks a byte of a file when a request first
// uses a cached script and unlocks it when the request ends; here a word in the site's shared
// memory says the same.
//
// Runs in: zygote (hooks), worker.  Input: trusted (opcache's own calls); the words may be written
// by the site's scripts, which can thereby disturb their own pool's cache only. Threads: the one
// that runs PHP. How: this program's fcntl() comes before libc's for opcache.  The worker that
// wants to empty the cache asks who uses it (F_GETLK): it is told of any other worker whose word is
// set and that lives. All other locks, of this file and of others, stay the kernel's.  Words of
// dead workers are cleared by their pool when it reaps them, as the kernel drops the locks of the
// dead. Ref: php-8.2 ext/opcache/ZendAccelerator.c accel_activate_add(), accel_unlock_all(),
// accel_is_inactive(); fcntl_locking(2).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::php {

// Which workers of a pool use cached scripts now: word i holds worker i's pid as its siblings see
// it, 0 when it uses none.
struct CacheUsers {
  int lock_file = -1;  // opcache's, open in this process; -1: the kernel keeps all locks
  std::atomic<int32_t>* words = nullptr;
  size_t stride_bytes = 0;  // from one word to the next
  uint32_t count = 0, own = 0;
};

// Has opcache call cache_fcntl() instead of libc's.  False: it is not loaded or calls in some other
// way; the kernel then keeps all locks.
bool hook_cache_lock() noexcept;
// As fcntl(2), but for the usage lock.
int cache_fcntl(int fd, int command, ...);
// From now on opcache's usage lock is answered here.  Every worker of a pool must do the same.
void use_cache_words(const CacheUsers& users) noexcept;

// How often opcache asked for something, and how often the kernel was asked, since the start.
struct CacheLockCounts {
  uint64_t asked = 0, passed_on = 0;
};
CacheLockCounts cache_lock_counts() noexcept;

}  // namespace bulkhead::php
