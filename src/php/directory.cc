// See directory.h.
#include "php/directory.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

namespace bulkhead::php {
namespace {

struct Entered {
  char path[PATH_MAX] = "";  // "": not known
  uint64_t changes = 0;      // directory_changes() then
  int64_t at_ns = 0;
};
Entered g_entered;
uint64_t g_changes = 0;

// Within a tick of the kernel, and without asking it.
int64_t now_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

uint64_t directory_changes() noexcept { return g_changes; }

int enter_directory(const char* path) noexcept {
  const int64_t now = now_ns();
  const bool known = g_entered.changes == g_changes &&
                     now - g_entered.at_ns < std::chrono::nanoseconds(kFresh).count();
  if (known && *path == '/' && strcmp(path, g_entered.path) == 0) return 0;
  g_entered.path[0] = '\0';
  const int result = chdir(path);
  const size_t size = strlen(path) + 1;
  if (result == 0 && size <= sizeof g_entered.path) {
    memcpy(g_entered.path, path, size);
    g_entered.changes = g_changes;
    g_entered.at_ns = now;
  }
  return result;
}

}  // namespace bulkhead::php

extern "C" __attribute__((visibility("default"))) int chdir(const char* path) noexcept {
  ++bulkhead::php::g_changes;
  return static_cast<int>(syscall(SYS_chdir, path));
}

extern "C" __attribute__((visibility("default"))) int fchdir(int fd) noexcept {
  ++bulkhead::php::g_changes;
  return static_cast<int>(syscall(SYS_fchdir, fd));
}
