// seccomp: which system calls a process may make, as a value that is built once and installed
// often.
//
// Runs in: zygote and opener (for_site, for_opener), front (for_front).  Input: none; the rules are
// tables in seccomp_rules.cc.
//
// A call that is forbidden answers EPERM; one that the tables do not know (a newer kernel's, or one
// nobody needs) answers ENOSYS, so that libraries fall back.  A 32-bit or x32 call ends the
// process. Calls that are plainly allowed cost nothing measurable: the kernel remembers them in a
// bitmap (Linux >= 5.11).  Filters stay across fork and execve and can only become stricter.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::sandbox {

class Filter {
 public:
  // What PHP applications and the programs they start use (ImageMagick, git, curl, node, python,
  // mail clients, database dumps, ghostscript, composer): all but tracing, other processes' memory,
  // kernel keys, bpf, io_uring, namespaces, mounting, modules, raw and unusual sockets, and what
  // only an administrator does.
  static Result<Filter> for_site();
  // What front uses once it has started: its descriptors, memory, threads, clocks and outgoing TCP.
  // It opens nothing, starts nothing, signals nobody.  An attempt to do so ends it: SIGSYS.
  static Result<Filter> for_front();
  // What the opener of a site without PHP uses: opening and reading; no sockets, no processes.
  static Result<Filter> for_opener();
  // In builds with sanitizers the last two are for_site(): their runtime reads /proc and starts a
  // program that names the lines of a report.

  [[nodiscard]] size_t instructions() const;

 private:
  friend struct FilterAccess;
  Filter() = default;
  std::vector<std::vector<sock_filter>> programs_;  // the strictest answer of all counts
};

// Whether a system call's name is in the list of what a site may call; for tests and documents.
[[nodiscard]] bool site_may_call(std::string_view name);

enum class Threads : uint8_t { kCaller, kAll };

// Installs it for the calling thread (and what it starts later), or for every thread of the
// process.  no_new_privs must be set already.  Errors: names the step; then nothing holds.
// Ref: seccomp(2), Linux >= 3.17.
Status install(const Filter& filter, Threads threads = Threads::kCaller);

}  // namespace bulkhead::sandbox
