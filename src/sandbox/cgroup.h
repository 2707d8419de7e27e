// Control groups (version 2): one group per site with its limits, in it one per run of the site.
//
//   BASE/bulkhead            this server's; locked while it lives, so leftovers are recognised
//   BASE/bulkhead/front      front, which answers for all sites: more weight than a site
//   BASE/bulkhead/site-NAME  the site: memory.max, cpu.max, pids.max, io.max
//   ...      /site-NAME/run-7  one run (a pool or an opener and all it ever forks); killed as one
//
// Runs in: master (makes, limits, kills, removes), zygote (forks a pool into it). Input:
// configuration (trusted).  Nothing in these directories can be written by a site. Threads: one.
// Ref: kernel Documentation/admin-guide/cgroup-v2.rst, Linux 6.1; cgroup.kill since 5.14 (before:
// freeze, then signals).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/pool_limits.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

enum class Controller : uint8_t { kMemory = 1, kCpu = 2, kTasks = 4, kIo = 8 };
constexpr uint8_t kAllControllers = 15;
// "memory, cpu" of a set of controllers.
std::string controller_names(uint8_t set);

// Puts the calling process into the group whose directory `group` is; better is to begin there
// (sys/fork_into.h).  Blocks: some milliseconds.
Status join_group(sys::FdRef group);
// The same for another process: one that has not forked yet.
Status join_group(sys::FdRef group, pid_t pid);

// One run of a site.  Destroying it kills nothing.
class RunGroup {
 public:
  RunGroup(sys::Fd site, std::string name, sys::Fd directory)
      : site_(std::move(site)), name_(std::move(name)), directory_(std::move(directory)) {}
  // Where the run's first process begins.
  [[nodiscard]] sys::FdRef directory() const { return directory_; }
  // SIGKILL to every process in it, also those forked meanwhile.
  Status kill();
  // True: it is gone.  False: processes have not ended yet; ask again.
  [[nodiscard]] bool remove();

 private:
  sys::Fd site_;
  std::string name_;
  sys::Fd directory_;
};

class SiteGroup {
 public:
  SiteGroup(sys::Fd tree, std::string name, sys::Fd directory, uint8_t controllers)
      : tree_(std::move(tree)),
        name_(std::move(name)),
        directory_(std::move(directory)),
        controllers_(controllers) {}
  // Puts limits in force, also on what runs.  Blocks: while the kernel takes memory back.
  // Errors: names the file; the other limits have been set nevertheless.
  Status limit(const config::PoolLimits& limits);
  Result<std::unique_ptr<RunGroup>> begin_run(uint32_t number);
  // How often the kernel ended processes because the site had used its memory up.
  [[nodiscard]] uint64_t memory_ends() const;
  // Of its directory below GroupTree::path().
  [[nodiscard]] const std::string& name() const { return name_; }
  // When no run is left.
  bool remove();

 private:
  sys::Fd tree_;
  std::string name_;
  sys::Fd directory_;
  uint8_t controllers_;
};

class GroupTree {
 public:
  struct Place {
    std::string base;     // absolute path of BASE
    bool is_own = false;  // BASE is the group we are in: it was delegated to us
  };
  // Where to put our group: our own if it was delegated (systemd's Delegate=yes), else the root.
  static Result<Place> find_place();
  // Makes our group, removes what servers that were killed have left, enables controllers.
  // Blocks: for leftovers, two seconds at most.
  // Errors: why there are no groups; the server goes on without.
  static Result<GroupTree> create(const Place& place);

  // Which of memory, cpu, pids and io limit sites here.
  [[nodiscard]] uint8_t controllers() const { return controllers_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  Result<std::unique_ptr<SiteGroup>> make_site(std::string_view site);
  // Where front begins; an invalid descriptor where there is no processor time to divide.
  Result<sys::Fd> make_front();
  // The server ends: our group, once it is empty.
  void remove();

 private:
  GroupTree(sys::Fd base, sys::Fd directory, std::string name, std::string path)
      : base_(std::move(base)),
        directory_(std::move(directory)),
        name_(std::move(name)),
        path_(std::move(path)) {}
  sys::Fd base_, directory_;
  std::string name_, path_;
  uint8_t controllers_ = 0;
};

}  // namespace bulkhead::sandbox
