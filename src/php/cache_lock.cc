// See cache_lock.h.
#include "php/cache_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "php/import_hook.h"

namespace bulkhead::php {
namespace {

constexpr off_t kUsageByte = 1;   // what a request that uses cached scripts locks for reading
constexpr off_t kOtherBytes = 3;  // opcache locks bytes 0 (writing) and 2 (restart) beside it

struct Lock {
  CacheUsers users;
  int32_t pid = 0;
  uint32_t held = 0;  // bit i: the kernel holds a lock of ours on byte i
  CacheLockCounts counts;
};
Lock g_lock;

std::atomic<int32_t>& word(uint32_t worker) noexcept {
  char* first = reinterpret_cast<char*>(g_lock.users.words);
  return *reinterpret_cast<std::atomic<int32_t>*>(first + worker * g_lock.users.stride_bytes);
}

bool is_alive(int32_t pid) noexcept {
  const int kept = errno;
  const bool alive = kill(pid, 0) == 0 || errno != ESRCH;
  errno = kept;
  return alive;
}

// Another worker that uses cached scripts; 0: none does.
int32_t other_user() noexcept {
  for (uint32_t i = 0; i < g_lock.users.count; ++i) {
    if (i == g_lock.users.own) continue;
    const int32_t pid = word(i).load();
    if (pid > 0 && is_alive(pid)) return pid;
  }
  return 0;
}

int pass_on(int command, struct flock* lock) noexcept {
  ++g_lock.counts.passed_on;
  return ::fcntl(g_lock.users.lock_file, command, lock);
}

// True for [first, first + length) of `lock`; a length of 0 has no end.
bool is_range(const struct flock& lock, off_t first, off_t length) noexcept {
  return lock.l_whence == SEEK_SET && lock.l_start == first && lock.l_len == length;
}

// Locks and unlocks of the other bytes are noted, so that "unlock all" asks the kernel only when
// there is something to unlock.
int set_other(int command, struct flock* lock) noexcept {
  const bool one_byte = lock->l_whence == SEEK_SET && lock->l_len == 1 && lock->l_start >= 0 &&
                        lock->l_start < kOtherBytes;
  const uint32_t bits = one_byte ? 1U << lock->l_start : ~0U;
  if (lock->l_type != F_UNLCK) g_lock.held |= bits;
  const int result = pass_on(command, lock);
  if (lock->l_type == F_UNLCK && result == 0 && one_byte) g_lock.held &= ~bits;
  return result;
}

int unlock_all(struct flock* lock) noexcept {
  word(g_lock.users.own).store(0, std::memory_order_release);
  if (g_lock.held == 0) return 0;
  const int result = pass_on(F_SETLK, lock);
  if (result == 0) g_lock.held = 0;
  return result;
}

int answer(int command, struct flock* lock) noexcept {
  ++g_lock.counts.asked;
  const bool usage = is_range(*lock, kUsageByte, 1);
  if (command == F_GETLK) {
    const int32_t user = usage && lock->l_type == F_WRLCK ? other_user() : 0;
    if (user == 0) return pass_on(command, lock);
    lock->l_type = F_RDLCK;
    lock->l_pid = user;
    return 0;
  }
  if (command == F_SETLK && usage && lock->l_type == F_RDLCK) {
    // Before any look at the cache, as the lock is taken before it.
    word(g_lock.users.own).store(g_lock.pid);
    return 0;
  }
  if (command == F_SETLK && usage && lock->l_type == F_UNLCK) {
    word(g_lock.users.own).store(0, std::memory_order_release);
    return 0;
  }
  if (command == F_SETLK && lock->l_type == F_UNLCK && is_range(*lock, 0, 0)) {
    return unlock_all(lock);
  }
  return set_other(command, lock);
}

}  // namespace

CacheLockCounts cache_lock_counts() noexcept { return g_lock.counts; }

// Every command's argument is an int or a pointer, and both are passed the same way.
int cache_fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  const bool lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
  if (lock && fd >= 0 && fd == g_lock.users.lock_file && argument != nullptr) {
    return answer(command, static_cast<struct flock*>(argument));
  }
  return ::fcntl(fd, command, argument);
}

bool hook_cache_lock() noexcept {
  return replace_import("/opcache.so", "fcntl", reinterpret_cast<void*>(cache_fcntl));
}

void use_cache_words(const CacheUsers& users) noexcept {
  if (users.lock_file < 0 || users.words == nullptr || users.own >= users.count) return;
  g_lock.users = users;
  g_lock.pid = getpid();
  g_lock.held = 0;
  word(users.own).store(0);
}

}  // namespace bulkhead::php
