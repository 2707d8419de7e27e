// What every front has counted for each site: the memory it counts in, and the sums by site name.
//
// Runs in: master.  Input: blocks that front wrote (hostile numbers): read as copies, never mapped;
// a front can lie about its own counts and do nothing else.  Threads: one.
//
// Counts go on when one front follows another and when a site gets another number (another user);
// they end with master, or a reload after the site has left the configuration and its front.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "config/snapshot.h"
#include "ipc/site_block.h"
#include "sys/fd.h"

namespace bulkhead::master {

// Of one site, over all loops and fronts.  `site` means nothing here.
using SiteTotals = ipc::SiteBlock;
using TotalsByName = std::unordered_map<std::string, SiteTotals>;

class SiteCounters {
 public:
  // The names behind the numbers, from now on.
  void know(const std::vector<config::Site>& sites);
  // The memory of a front that is to start.
  Result<sys::FdRef> begin(uint32_t front, uint32_t loops);
  // It is gone: what it counted is kept.
  void end(uint32_t front);
  [[nodiscard]] TotalsByName totals() const;
  // What totals() reads.
  [[nodiscard]] std::vector<sys::FdRef> memory() const;

 private:
  struct Front {
    sys::Fd memory;
    uint32_t loops = 0;
  };
  enum class Gauges : uint8_t { kCount, kDrop };
  void add(const Front& front, Gauges gauges, TotalsByName* to) const;

  std::unordered_map<uint32_t, std::string> names_;  // by the site's number
  std::map<uint32_t, Front> fronts_;
  TotalsByName ended_;  // by fronts that are gone
};

}  // namespace bulkhead::master
