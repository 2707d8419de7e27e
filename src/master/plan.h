// What a reload has to do: the difference between what runs and what is wanted, as a value.
//
// Runs in: master.  Input: two configurations, both checked.  Pure: touches nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/pool_config.h"
#include "config/snapshot.h"
#include "sandbox/site_policy.h"

namespace bulkhead::master {

// Gives each identity a number for as long as master runs.  Numbers are never used twice.
class SiteIds {
 public:
  [[nodiscard]] uint32_t id_for(const config::Site& site);
  // Numbers the sites of a snapshot, and everything in it that refers to them.
  void apply(config::Snapshot* snapshot);

 private:
  std::map<std::string, uint32_t> ids_;
  uint32_t next_ = 1;
};

enum class PoolChange : uint8_t {
  kSame,
  kNumbers,    // only pm's numbers: the running pool takes the new ones
  kDifferent,  // a new pool must replace it
};
[[nodiscard]] PoolChange compare_pools(const config::PoolConfig& before,
                                       const config::PoolConfig& after);

// A site as far as a reload cares: its number, and its pool (nullptr: files only).
struct PlannedSite {
  uint32_t id = 0;
  const config::PoolConfig* pool = nullptr;
  const sandbox::SitePolicy* policy = nullptr;  // null: not looked at
};
enum class SiteAction : uint8_t { kKeep, kAdd, kResize, kReplace, kRemove };
struct SiteStep {
  uint32_t id;
  SiteAction action;
  friend bool operator==(const SiteStep&, const SiteStep&) = default;
};
// Steps for every site of either side: removals last.
[[nodiscard]] std::vector<SiteStep> plan_sites(const std::vector<PlannedSite>& before,
                                               const std::vector<PlannedSite>& after);

// Which addresses to open and to close; order kept, each once.
struct ListenSteps {
  std::vector<std::string> open, close;
};
[[nodiscard]] ListenSteps plan_listeners(const std::vector<std::string>& before,
                                         const std::vector<std::string>& after);

}  // namespace bulkhead::master
