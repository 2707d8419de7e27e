// The directory a script runs in: entered anew only when it may be another one.
//
// Runs in: worker.  Input: a script's path; what scripts do with chdir().
// Threads: the one that runs PHP.
// How: this program's chdir() and fchdir() come before libc's for libphp and count changes.  The
// same path named again within kFresh, with no change in between, is where we are: a directory put
// into the place of another (a deployment) is noticed that much later. Ref: php-8.2 main/main.c
// php_execute_script(); chdir(2).
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::php {

constexpr std::chrono::milliseconds kFresh{10};

// As chdir(2), which it leaves out where it would change nothing.
int enter_directory(const char* path) noexcept;

// How often the directory was changed by a system call, by whomever, since the start.
[[nodiscard]] uint64_t directory_changes() noexcept;

}  // namespace bulkhead::php
