// Which peer of an upstream serves the next request: weights, failures, backups.
//
// Runs in: front.  Input: Plan (trusted).
// Threads: one per loop, each counting for itself.  Ref: nginx ngx_http_upstream_module, smooth
// weighted round robin; `least_conn` and `random` are served as round robin.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "front/plan.h"

namespace bulkhead::front {

class PeerStates {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // The index of the next peer, or kNone.  `tried` has a bit for each peer tried before; `hash` is
  // for hash and ip_hash.
  uint32_t choose(const Plan& plan, uint32_t upstream, uint64_t tried, uint64_t hash, Time now);
  void report_failure(const Plan& plan, uint32_t upstream, uint32_t peer, Time now);
  void report_success(const Plan& plan, uint32_t upstream, uint32_t peer);

 private:
  struct Peer {
    int64_t current = 0;
    int64_t effective = 0;
    uint32_t fails = 0;
    Time failed{}, checked{};
  };
  std::vector<Peer>& states(const Plan& plan, uint32_t upstream);
  static uint32_t round_robin(const UpstreamPlan& upstream, std::vector<Peer>& states,
                              uint64_t tried, bool backup, Time now);

  uint64_t generation_ = 0;
  std::unordered_map<uint64_t, std::vector<Peer>> states_;  // by generation and upstream
};

}  // namespace bulkhead::front
