#include "sys/private_memory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

namespace bulkhead::sys {
namespace {

// Runs `work` in a forked child; its result is the exit code.
int in_child(const std::function<int()>& work) {
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGSEGV, SIG_DFL);  // not a sanitizer's: the kernel's answer is what is looked at
    _exit(work());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(PrivateMemory, AChildSeesTheContentsAtTheSameAddressAndWritesForItselfOnly) {
  constexpr size_t kBytes = 1 << 20;
  char* memory = static_cast<char*>(allocate_shared(kBytes));
  ASSERT_NE(memory, nullptr);
  strcpy(memory + 5 * 4096, "from parent");
  pin_shared_memory();
  EXPECT_EQ(0, in_child([&] {
              if (!make_shared_memory_private()) return 1;
              if (strcmp(memory + 5 * 4096, "from parent") != 0) return 2;
              strcpy(memory + 5 * 4096, "from child");
              memory[kBytes - 1] = 'x';
              // A grandchild shares with its parent: that is a site's worker.
              if (in_child([&] { return strcpy(memory, "worker") == nullptr; }) != 0) return 3;
              return strcmp(memory, "worker") == 0 ? 0 : 4;
            }));
  EXPECT_STREQ(memory + 5 * 4096, "from parent");
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(memory[kBytes - 1], 0);
  munmap(memory, kBytes);
}

TEST(PrivateMemory, KeepsProtectionOfExecutableParts) {
  char* memory = static_cast<char*>(allocate_shared(8192));
  memory[4096] = static_cast<char>(0xc3);  // ret
  ASSERT_EQ(mprotect(memory + 4096, 4096, PROT_READ | PROT_EXEC), 0);
  EXPECT_EQ(0, in_child([&] {
              if (!make_shared_memory_private()) return 1;
              reinterpret_cast<void (*)()>(memory + 4096)();
              memory[0] = 1;
              return 0;
            }));
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(-SIGSEGV, in_child([&] {
    if (!make_shared_memory_private()) return 1;
    *static_cast<volatile char*>(memory + 4096) = 1;
    return 0;
  }));
  munmap(memory, 8192);
}

TEST(PrivateMemory, RefusesAWritableMappingOfAFile) {
  char name[] = "/tmp/bh-map-XXXXXX";
  Fd file(mkstemp(name));
  ASSERT_EQ(ftruncate(file.get(), 4096), 0);
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  EXPECT_EQ(0, in_child([&] { return make_shared_memory_private() ? 1 : 0; }));
  munmap(memory, 4096);
  memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0);
  EXPECT_EQ(0, in_child([&] { return make_shared_memory_private() ? 0 : 1; }));
  munmap(memory, 4096);
  unlink(name);
}

TEST(PrivateMemory, ReplacesLockFilesUnderTheirNumber) {
  const auto inherited = open_descriptors(3);
  Fd lock(memfd_create("opcache_lock", MFD_CLOEXEC));
  ASSERT_EQ(write(lock.get(), "x", 1), 1);
  EXPECT_EQ(0, in_child([&] {
              if (!replace_lock_files({"memfd:opcache_lock"})) return 1;
              if (lseek(lock.get(), 0, SEEK_END) != 0) return 2;
              return check_descriptors(inherited) ? 0 : 3;
            }));
  EXPECT_EQ(lseek(lock.get(), 0, SEEK_END), 1);
}

TEST(PrivateMemory, RefusesDescriptorsThatWouldJoinSites) {
  auto ours = open_descriptors(3);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(0, in_child([&] { return check_descriptors(ours) ? 1 : 0; }));
  ours.insert(ours.end(), {FdRef(ends[0]), FdRef(ends[1])});
  EXPECT_EQ(0, in_child([&] { return check_descriptors(ours) ? 0 : 1; }));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace bulkhead::sys
