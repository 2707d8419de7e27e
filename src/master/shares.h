// Every site's share of the machine: its control group while it runs, its limits in force, what it
// left behind ended.
//
// Runs in: master.  Input: configuration (trusted).  Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/pool_limits.h"
#include "loop/event_loop.h"
#include "sandbox/cgroup.h"

namespace bulkhead::master {

class Shares {
 public:
  using Say = std::function<void(const std::string& text)>;
  // One run of a site; the owner is its SiteLife.
  struct Run {
    std::string site;
    std::unique_ptr<sandbox::RunGroup> group;  // none: this machine has no groups
    uint64_t memory_ends = 0;                  // the site's count when the run began
    uint8_t controllers = 0;                   // those that limit it
    // What the run's first process joins by; invalid without a group.
    [[nodiscard]] sys::FdRef directory() const { return group ? group->directory() : sys::FdRef(); }
  };

  // `warn` gets what keeps limits from being in force; once for each thing.
  Shares(loop::EventLoop& loop, Say warn) : loop_(loop), warn_(std::move(warn)) {}
  ~Shares();

  // Whether some site is to have a number of tasks of its own, beside the default.
  enum class Tasks : uint8_t { kDefault, kWanted };
  // Finds the groups this machine offers.  Says what is missing if some site has a limit for it.
  // `state`: where the sites' private directories are, or "".
  void open(const std::vector<config::PoolLimits>& wanted, Tasks tasks, const std::string& state);
  // Which of memory, cpu, tasks and io are limited by groups.
  [[nodiscard]] uint8_t controllers() const { return tree_ ? tree_->controllers() : 0; }
  // kMust: a site with a limit that no group keeps does not start (sandbox = strict).
  enum class Need : uint8_t { kMay, kMust };
  // The site's group with these limits, and a run in it.  Without groups, an empty run.
  // Errors: the group could not be made although others could; kMust and a limit is not in force.
  Result<Run> begin(const std::string& site, const config::PoolLimits& limits, uint32_t number,
                    Need need);
  // Puts changed limits in force on what runs.  False: rlimits stand in for some of them, so that
  // only a new pool takes them.
  bool change(const std::string& site, const config::PoolLimits& before,
              const config::PoolLimits& limits);
  // The run is over: ends what it left behind.  True: the kernel ended it for its memory.
  bool end(Run run);
  // The group that front begins in; invalid where there is none.
  [[nodiscard]] sys::FdRef front_group();
  // Where the site's group is; "" without one.
  [[nodiscard]] std::string group_of(const std::string& site) const;
  // For `bulkhead status`: {"group":...,"controllers":[...],"missing":[...],"why":...}; "disk" is
  // in one of the lists, too.
  [[nodiscard]] std::string status_json() const;

 private:
  struct Site {
    std::unique_ptr<sandbox::SiteGroup> group;
    config::PoolLimits limits;
    uint32_t runs = 0;
  };
  void say_missing(const std::vector<config::PoolLimits>& wanted, Tasks tasks);
  void sweep();
  void forget(const std::string& site);

  loop::EventLoop& loop_;
  Say warn_;
  std::optional<sandbox::GroupTree> tree_;
  std::string why_;  // there is no tree
  sys::Fd front_;
  std::map<std::string, Site> sites_;
  std::vector<Run> ending_;  // killed; their groups go when the last process has
  std::unique_ptr<loop::Timer> sweeper_;
  uint8_t said_ = 0;  // controllers whose absence has been told
  bool disk_ = false, disk_said_ = false;
};

}  // namespace bulkhead::master
