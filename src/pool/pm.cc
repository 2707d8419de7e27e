// See pm.h.
#include "pool/pm.h"

#include <algorithm>

#include "ring/layout.h"

namespace bulkhead::pool {
namespace {
constexpr uint32_t kBusyRate = 8;  // from this spawn rate on php-fpm warns
}

void ProcessManager::configure(const config::PoolConfig& config) {
  const auto count = [](int n) { return static_cast<uint32_t>(std::max(n, 0)); };
  pm_ = config.pm;
  max_children_ = std::clamp(count(config.max_children), 1u, ring::kWorkersMax);
  start_servers_ = std::min(count(config.start_servers), max_children_);
  min_spare_ = count(config.min_spare_servers);
  max_spare_ = count(config.max_spare_servers);
  spawn_rate_max_ = std::max(count(config.max_spawn_rate), 1u);
  idle_timeout_s_ = config.process_idle_timeout_s;
}

uint32_t ProcessManager::at_start() const {
  switch (pm_) {
    case config::Pm::kStatic:
      return max_children_;
    case config::Pm::kDynamic:
      return start_servers_;
    case config::Pm::kOndemand:
      return 0;
  }
  return 0;
}

Decision ProcessManager::reached_limit(const char* setting) {
  Decision d;
  if (!warned_) {
    warned_ = true;
    d.count_max_children = true;
    d.warnings.push_back(std::string("server reached ") + setting + " setting (" +
                         std::to_string(max_children_) + "), consider raising it");
  }
  return d;
}

Decision ProcessManager::maintain(const Census& c) {
  Decision d;
  if (pm_ == config::Pm::kStatic) {
    d.fork = max_children_ - std::min(max_children_, c.running);  // after a resize
    d.quit_oldest_idle = c.running > max_children_ && c.idle > 0;
    return d;
  }
  if (pm_ == config::Pm::kOndemand) {
    d.quit_oldest_idle = c.oldest_idle_for_s > idle_timeout_s_;
    return d;
  }
  if (c.idle > max_spare_ && c.oldest_idle_for_s >= 0) {
    d.quit_oldest_idle = true;
    spawn_rate_ = 1;
    return d;
  }
  if (c.idle >= min_spare_) {
    spawn_rate_ = 1;
    return d;
  }
  if (c.running >= max_children_) {
    spawn_rate_ = 1;
    return reached_limit("pm.max_children");
  }
  if (spawn_rate_ >= kBusyRate) {
    d.warnings.push_back(
        "seems busy (you may need to increase pm.start_servers, or pm.min/max_spare_servers), "
        "spawning " +
        std::to_string(spawn_rate_) + " children, there are " + std::to_string(c.idle) +
        " idle, and " + std::to_string(c.running) + " total children");
  }
  d.fork = std::min({spawn_rate_, min_spare_ - c.idle, max_children_ - c.running});
  warned_ = false;
  if (spawn_rate_ < spawn_rate_max_) spawn_rate_ *= 2;
  return d;
}

Decision ProcessManager::on_request(const Census& c) {
  Decision d;
  if (pm_ != config::Pm::kOndemand || c.pending <= c.idle) return d;
  if (c.running >= max_children_) return reached_limit("max_children");
  warned_ = false;
  d.fork = std::min(c.pending - c.idle, max_children_ - c.running);
  return d;
}

uint32_t ProcessManager::after_death(uint32_t running) const {
  return running < max_children_ ? 1 : 0;
}

}  // namespace bulkhead::pool
