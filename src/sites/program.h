// Programs of the system that do part of a step: useradd, tar, mariadb, sshd -t.
//
// Runs in: bulkhead-site.  Input: their words are ours; what they print is shown, bounded.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/users.h"

namespace bulkhead::sites {

struct Program {
  std::vector<std::string> argv;        // argv[0] is a name looked up in the system's directories
  const sys::Identity* user = nullptr;  // becomes this user first
  std::string directory = "/";
  std::string input;   // its standard input, as text; else `in`, else /dev/null
  sys::FdRef in, out;  // invalid: /dev/null, and gathered for Ran::output
};
struct Ran {
  int status = 0;      // exit status; 128 + signal
  std::string output;  // standard output, at most kOutputMax
  std::string errors;  // the last line of standard error
};
constexpr size_t kOutputMax = 16u << 20;

// Runs it to its end, in a process group of its own: Ctrl-C is ours to handle, between steps.
// Errors: it cannot be started.  Blocks: until it has ended.
[[nodiscard]] Result<Ran> run_program(const Program& program);
// The same; an exit status other than 0 is an error with the program's own words.
Status must_run(const Program& program);

// Root's programs keep this descriptor open: a lock stays taken while one of them goes on although
// we were killed.  Programs of a user do not get it: they end with us.
void keep_in_programs(sys::FdRef lock);

// A user as whom a site's trees may be touched.  Errors: there is none, or it is root.
[[nodiscard]] Result<sys::Identity> site_user(const std::string& name);

// Does something as a user, in a child that became it: the only way files are written into a
// directory that a site owns.
Status as_user(const sys::Identity& user, const std::function<Status()>& work);

}  // namespace bulkhead::sites
