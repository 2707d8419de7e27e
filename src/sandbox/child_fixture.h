// For tests: runs a function in a forked process, because what it does there cannot be undone.
//
// Runs in: unit tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace bulkhead::sandbox {

// The child's exit code, or minus the signal that ended it.
template <class Body>
int in_child(Body body) {
  ::fflush(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// Inside a child: the number of the first thing that is not as it should be is the exit code.
#define MUST(number, condition)                                                                 \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      ::fprintf(stderr, "in child: %s (errno %d: %s)\n", #condition, errno, ::strerror(errno)); \
      return number;                                                                            \
    }                                                                                           \
  } while (0)

// A directory of its own, removed at the end.
class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/bulkhead-sandbox-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string at(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string make_dir(const std::string& name) const {
    std::filesystem::create_directories(at(name));
    return at(name);
  }
  [[nodiscard]] std::string make_file(const std::string& name, const std::string& text) const {
    std::ofstream(at(name)) << text;
    return at(name);
  }

 private:
  std::string path_;
};

}  // namespace bulkhead::sandbox
