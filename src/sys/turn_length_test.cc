#include "sys/turn_length.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace bulkhead::sys {
namespace {

// "se.slice" of the calling process in nanoseconds; 0: this kernel does not tell.
uint64_t slice_ns() {
  std::ifstream file("/proc/self/sched");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("se.slice")) return std::stoull(line.substr(line.find(':') + 1));
  }
  return 0;
}

bool kernel_has_custom_slices() {
  utsname name{};
  int major = 0, minor = 0;
  if (::uname(&name) < 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 12);
}

// What `body` returns in a process of its own.
template <class Body>
int in_child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(TurnLength, IsShortForTheCallerAndUsualForWhatItStarts) {
  if (!kernel_has_custom_slices() || slice_ns() == 0) GTEST_SKIP() << "not on this kernel";
  EXPECT_EQ(0, in_child([] {
              const uint64_t usual = slice_ns();
              if (!set_turn_length(kAnsweringTurn, Heirs::kUsual)) return 1;
              if (slice_ns() != 100'000) return 2;
              if (usual == 100'000) return 0;  // nothing to tell apart
              return in_child([usual] { return slice_ns() == usual ? 0 : 3; });
            }));
}

TEST(TurnLength, GoesToHeirsThatShallHaveTheSame) {
  if (!kernel_has_custom_slices() || slice_ns() == 0) GTEST_SKIP() << "not on this kernel";
  EXPECT_EQ(0, in_child([] {
              if (!set_turn_length(kAnsweringTurn, Heirs::kSame)) return 1;
              return in_child([] { return slice_ns() == 100'000 ? 0 : 3; });
            }));
}

TEST(TurnLength, LeavesThePriorityAsItIs) {
  EXPECT_EQ(0, in_child([] {
              if (::setpriority(PRIO_PROCESS, 0, 7) < 0) return 1;
              if (!set_turn_length(kAnsweringTurn, Heirs::kUsual)) return 2;
              if (::getpriority(PRIO_PROCESS, 0) != 7) return 3;
              return in_child([] { return ::getpriority(PRIO_PROCESS, 0) == 7 ? 0 : 4; });
            }));
}

}  // namespace
}  // namespace bulkhead::sys
