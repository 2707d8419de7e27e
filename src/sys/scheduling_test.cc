// Sessions, as the kernel shows them.
#include "sys/scheduling.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace bulkhead::sys {
namespace {

// Runs `what` in a process of its own: true when it returned true there.
template <class F>
bool holds_in_child(F what) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(what() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Scheduling, ASessionOfItsOwnHasTheWeightOfItsNiceness) {
  EXPECT_TRUE(holds_in_child([] {
    lead_session(3);
    std::ifstream file("/proc/self/autogroup");
    std::string line;
    const bool weighed = !std::getline(file, line) || line.ends_with(" nice 3");
    return ::getsid(0) == ::getpid() && weighed;
  }));
}

}  // namespace
}  // namespace bulkhead::sys
