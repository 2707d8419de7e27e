// Landlock: which files, TCP ports, abstract sockets and signals a process may reach, told to the
// kernel as a list of what is allowed.
//
// Runs in: front (nothing is allowed), pool and opener (the site's trees); before any hostile byte.
// Input: the site's policy (trusted); the paths lie in trees that the site changes at any moment.
//
// The domain holds for the calling thread and what it forks or creates later, across execve, and
// can only become narrower.  Whoever shares a domain may signal each other: a supervisor enters
// before it forks its workers.  Open descriptors, pipes, socket pairs, memfds and connecting to a
// Unix socket by path are not touched by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

struct PathRule {
  enum Access : uint8_t {
    kList,       // list directories, read nothing
    kRead,       // read files, list directories
    kReadExec,   // and start programs
    kReadWrite,  // and change, create and remove everything but device nodes
  };
  std::string path;  // a file, or a directory with all beneath it
  Access access = kRead;
  sys::FdRef object{};  // O_PATH descriptor of it; then `path` is not looked up
};

struct LandlockRules {
  std::vector<PathRule> paths;                                 // nothing else is reachable
  std::optional<std::vector<uint16_t>> tcp_connect, tcp_bind;  // ports; unset: all (ABI 4)
  bool scope_abstract_sockets = true;  // no abstract Unix socket from outside the domain (ABI 6)
  bool scope_signals = true;           // no signal to a process outside the domain (ABI 6)
};

// What this kernel offers: 0 (no Landlock, or switched off) to 7 and more; a rule that it does not
// know yet is left out.  Ref: landlock(7); ABI 1 Linux 5.13, 2 5.19 (rename between directories),
// 3 6.2 (truncate), 4 6.7 (TCP), 5 6.10 (ioctl of devices), 6 6.12 (scopes).
[[nodiscard]] int landlock_abi();

// Confines the calling thread for good.  no_new_privs must be set already.
// A path is looked up with the caller's rights and follows only links that sys::resolve_path's rule
// allows.  One that is missing, or refused to the caller anyway, allows nothing: it is left out and
// added to `skipped` with the reason ("PATH: No such file or directory").
// Errors: ENOSYS when landlock_abi() is 0; else names the step.  After an error nothing holds.
Status restrict_by_landlock(const LandlockRules& rules,
                            std::vector<std::string>* skipped = nullptr);

}  // namespace bulkhead::sandbox
