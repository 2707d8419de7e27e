// Becomes the command: from a fresh fork of the site's pool to the program, with every layer of the
// sandbox as the pool has it, but nothing else of the pool.
//
// Runs in: pool (builds the environment), its forked child (the rest), as the site's user.
// Input: an order of whoever may run commands in the site.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exec/order.h"
#include "sys/fd.h"

namespace bulkhead::exec {

constexpr int kExitOwnFailure = 125, kExitCannotRun = 126, kExitNotFound = 127;

using Variables = std::vector<std::pair<std::string, std::string>>;

// Who the site is, for USER, HOME, LOGNAME and SHELL.
struct Account {
  std::string name, home, shell;
};
// The account of this process.  USER and HOME of its environment win over the user database, as the
// pool has set them.
[[nodiscard]] Account own_account();

// The whole environment of a command: defaults, then the pool's env[], then the order's own.
[[nodiscard]] std::vector<std::string> environment_of(const Order& order, const Account& account,
                                                      const Variables& of_pool);

struct Command {
  Order order;
  std::vector<sys::Fd> fds;  // 0, 1, 2 of the command; then the program, when it has one
  bool has_terminal = false;
  bool has_program = false;
};
// In the child: never returns.  What goes wrong is said on the command's standard error; the exit
// code is then kExitOwnFailure, kExitCannotRun or kExitNotFound.
[[noreturn]] void become(Command command, pid_t pool, const Account& account,
                         const Variables& of_pool);

}  // namespace bulkhead::exec
