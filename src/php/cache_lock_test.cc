#include "php/cache_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace bulkhead::php {
namespace {

struct flock range(short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

// Two workers: this process is the second, a forked one the first.
class CacheLock : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = memfd_create("opcache_lock", MFD_CLOEXEC);
    ASSERT_GE(file_, 0);
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    words_ = static_cast<std::atomic<int32_t>*>(memory);
    use_cache_words(users(1));
  }
  void TearDown() override {
    use_cache_words({file_, words_, 64, 2, 1});
    munmap(words_, 4096);
    close(file_);
  }
  CacheUsers users(uint32_t own) { return {file_, words_, 64, 2, own}; }
  std::atomic<int32_t>& first_word() { return words_[0]; }
  int set(short type, off_t start, off_t length) {
    struct flock lock = range(type, start, length);
    return cache_fcntl(file_, F_SETLK, &lock);
  }
  // Who keeps this process from having byte `start` for itself; 0: nobody.
  pid_t user_of(off_t start) {
    struct flock lock = range(F_WRLCK, start, 1);
    lock.l_pid = -1;
    EXPECT_EQ(cache_fcntl(file_, F_GETLK, &lock), 0);
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
  }
  // A first worker that has done `work` and then waits to be killed.
  pid_t first_worker(const std::function<void()>& work) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      use_cache_words(users(0));
      work();
      [[maybe_unused]] ssize_t told = write(ready[1], "x", 1);
      for (;;) pause();
    }
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
  }
  static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  int file_ = -1;
  std::atomic<int32_t>* words_ = nullptr;
};

TEST_F(CacheLock, TellsWhichOtherWorkerUsesTheCache) {
  const pid_t first = first_worker([&] { ASSERT_EQ(set(F_RDLCK, 1, 1), 0); });
  EXPECT_EQ(user_of(1), first);
  end(first);
}

TEST_F(CacheLock, AWorkerDoesNotKeepItselfFromTheCache) {
  EXPECT_EQ(set(F_RDLCK, 1, 1), 0);
  EXPECT_EQ(user_of(1), 0);
}

TEST_F(CacheLock, UnlockingEverythingEndsTheUse) {
  const pid_t first = first_worker([&] {
    set(F_RDLCK, 1, 1);
    set(F_UNLCK, 0, 0);
  });
  EXPECT_EQ(user_of(1), 0);
  end(first);
}

TEST_F(CacheLock, AsksTheKernelForNothingWhileARequestRuns) {
  const uint64_t before = cache_lock_counts().passed_on;
  set(F_RDLCK, 1, 1);
  set(F_UNLCK, 0, 0);
  EXPECT_EQ(cache_lock_counts().passed_on, before);
}

TEST_F(CacheLock, TheDeadUseNothing) {
  const pid_t first = first_worker([&] { set(F_RDLCK, 1, 1); });
  end(first);  // and its pool has not cleared the word yet
  EXPECT_EQ(first_word().load(), first);
  EXPECT_EQ(user_of(1), 0);
}

TEST_F(CacheLock, ADamagedWordKeepsNobodyFromTheCache) {
  first_word() = -5;
  EXPECT_EQ(user_of(1), 0);
}

TEST_F(CacheLock, KeepsTheOtherBytesWithTheKernel) {
  const pid_t first = first_worker([&] { ASSERT_EQ(set(F_WRLCK, 2, 1), 0); });
  EXPECT_EQ(user_of(2), first);
  EXPECT_EQ(user_of(0), 0);
  EXPECT_EQ(user_of(1), 0);
  end(first);
  EXPECT_EQ(user_of(2), 0);
}

TEST_F(CacheLock, UnlockingEverythingUnlocksTheOtherBytesToo) {
  const pid_t first = first_worker([&] {
    set(F_WRLCK, 0, 1);
    set(F_RDLCK, 1, 1);
    set(F_UNLCK, 0, 0);
  });
  EXPECT_EQ(user_of(0), 0);
  end(first);
}

TEST_F(CacheLock, OtherFilesAreTheKernels) {
  const int other = memfd_create("other", MFD_CLOEXEC);
  const pid_t first = first_worker([&] {
    struct flock lock = range(F_RDLCK, 1, 1);
    ASSERT_EQ(cache_fcntl(other, F_SETLK, &lock), 0);
  });
  struct flock lock = range(F_WRLCK, 1, 1);
  EXPECT_EQ(fcntl(other, F_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_RDLCK);
  EXPECT_EQ(cache_fcntl(other, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(first_word().load(), 0);
  end(first);
  close(other);
}

}  // namespace
}  // namespace bulkhead::php
