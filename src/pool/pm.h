// How many workers a pool should have: php-fpm's rules for static, dynamic and ondemand as pure
// decisions.
//
// Runs in: pool.  Input: counts from the pool's own scoreboard and ring.
// Ref: php.net install.fpm.configuration (pm.*).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/pool_config.h"

namespace bulkhead::pool {

// What the pool sees of its workers.
struct Census {
  uint32_t idle = 0, active = 0;
  uint32_t running = 0;            // workers that exist, also those told to quit
  uint32_t pending = 0;            // requests nobody has taken
  int64_t oldest_idle_for_s = -1;  // how long the idle worker started first has been idle; -1: none
};

struct Decision {
  uint32_t fork = 0;
  bool quit_oldest_idle = false;
  bool count_max_children = false;    // pm.max_children was reached, not yet counted
  std::vector<std::string> warnings;  // php-fpm's words
};

class ProcessManager {
 public:
  explicit ProcessManager(const config::PoolConfig& config) { configure(config); }
  // New numbers after a reload.
  void configure(const config::PoolConfig& config);

  // Workers to fork when the pool starts.
  [[nodiscard]] uint32_t at_start() const;
  // Once per second.
  Decision maintain(const Census& census);
  // ondemand: a request waits and front saw no idle worker.
  Decision on_request(const Census& census);
  // A worker ended that was not told to: how many to fork in its place.
  [[nodiscard]] uint32_t after_death(uint32_t running) const;

 private:
  Decision reached_limit(const char* setting);

  config::Pm pm_ = config::Pm::kDynamic;
  uint32_t max_children_ = 1, start_servers_ = 1, min_spare_ = 1, max_spare_ = 1;
  uint32_t spawn_rate_max_ = 32, spawn_rate_ = 1;
  int64_t idle_timeout_s_ = 10;
  bool warned_ = false;
};

}  // namespace bulkhead::pool
