// Figures of processes: what the kernel writes is read right, whatever a process calls itself.
#include "master/site_figures.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bulkhead::master {
namespace {

TEST(SiteFigures, ReadsNumbersByTheirKeyAtTheStartOfALine) {
  EXPECT_EQ(number_after("usage_usec 123\nuser_usec 4\n", "usage_usec "), 123u);
  EXPECT_EQ(number_after("x\nPss:     12 kB\nPss_Dirty: 9 kB\n", "Pss:"), 12u);
  EXPECT_EQ(number_after("not usage_usec 5", "usage_usec "), 0u);
}

TEST(SiteFigures, IsNotFooledByAProcessName) {
  const char* stat = "12 (a) R 1 2 3 4 5 ) S 1 1 1 0 -1 4194304 10 0 0 0 100 20 3 4 20 0 1 0";
  EXPECT_EQ(ticks_of_stat(stat), 127u);
  EXPECT_EQ(ticks_of_stat(""), 0u);
  EXPECT_EQ(ticks_of_stat("12 (x)"), 0u);
}

TEST(SiteFigures, SeesAFamilyAndItsMemory) {
  constexpr size_t kBytes = 32 << 20;
  int ready[2], hold[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(hold), 0);
  const pid_t first = ::fork();
  if (first == 0) {
    const pid_t worker = ::fork();
    if (worker == 0) {
      void* at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
      if (::write(ready[1], at == MAP_FAILED ? "n" : "y", 1) != 1) ::_exit(1);
    }
    ::close(hold[1]);
    char byte;
    if (::read(hold[0], &byte, 1) < 0) ::_exit(1);
    if (worker > 0) ::waitpid(worker, nullptr, 0);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const SiteFigures figures = FigureReader(std::chrono::seconds(5)).read({first}, "");
  const SiteFigures late = FigureReader(std::chrono::milliseconds(-1)).read({first}, "");
  ::close(hold[1]);
  ::waitpid(first, nullptr, 0);
  EXPECT_EQ(figures.workers, 1u);
  EXPECT_GT(figures.memory_bytes, kBytes);
  EXPECT_EQ(late.memory_from, MemorySource::kRss);
  EXPECT_GT(late.memory_bytes, kBytes);
  const SiteFigures gone = FigureReader(std::chrono::seconds(5)).read({first}, "");
  EXPECT_EQ(gone.memory_bytes, 0u);
  EXPECT_EQ(gone.workers, 0u);
}

}  // namespace
}  // namespace bulkhead::master
