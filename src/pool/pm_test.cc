#include "pool/pm.h"

#include <gtest/gtest.h>

namespace bulkhead::pool {
namespace {

config::PoolConfig dynamic() {
  config::PoolConfig c;
  c.pm = config::Pm::kDynamic;
  c.max_children = 20;
  c.start_servers = 2;
  c.min_spare_servers = 15;
  c.max_spare_servers = 16;
  return c;
}

TEST(ProcessManager, StartsWhatEachKindAsksFor) {
  auto c = dynamic();
  EXPECT_EQ(ProcessManager(c).at_start(), 2u);
  c.pm = config::Pm::kStatic;
  EXPECT_EQ(ProcessManager(c).at_start(), 20u);
  c.pm = config::Pm::kOndemand;
  EXPECT_EQ(ProcessManager(c).at_start(), 0u);
}

TEST(ProcessManager, DoublesItsSpawnRateWhileTooFewAreIdle) {
  ProcessManager pm(dynamic());
  uint32_t running = 2;
  std::vector<uint32_t> forks;
  for (int i = 0; i < 6; ++i) {
    const auto d = pm.maintain({.idle = 0, .active = running, .running = running});
    forks.push_back(d.fork);
    running += d.fork;
    EXPECT_EQ(d.warnings.empty(), i < 3) << i;
  }
  EXPECT_EQ(forks, (std::vector<uint32_t>{1, 2, 4, 8, 3, 0}));
}

TEST(ProcessManager, WarnsOnceWhenMaxChildrenIsReached) {
  ProcessManager pm(dynamic());
  auto d = pm.maintain({.idle = 0, .active = 20, .running = 20});
  ASSERT_EQ(d.warnings.size(), 1u);
  EXPECT_EQ(d.warnings[0], "server reached pm.max_children setting (20), consider raising it");
  EXPECT_TRUE(d.count_max_children);
  d = pm.maintain({.idle = 0, .active = 20, .running = 20});
  EXPECT_TRUE(d.warnings.empty());
  EXPECT_FALSE(d.count_max_children);
}

TEST(ProcessManager, QuitsOneSpareAtATime) {
  ProcessManager pm(dynamic());
  const auto d = pm.maintain({.idle = 17, .running = 17, .oldest_idle_for_s = 3});
  EXPECT_TRUE(d.quit_oldest_idle);
  EXPECT_EQ(d.fork, 0u);
  EXPECT_FALSE(pm.maintain({.idle = 16, .running = 16, .oldest_idle_for_s = 3}).quit_oldest_idle);
}

TEST(ProcessManager, OndemandForksPerWaitingRequestAndRetiresTheIdle) {
  auto c = dynamic();
  c.pm = config::Pm::kOndemand;
  c.max_children = 3;
  ProcessManager pm(c);
  EXPECT_EQ(pm.on_request({.idle = 0, .running = 0, .pending = 1}).fork, 1u);
  EXPECT_EQ(pm.on_request({.idle = 1, .running = 1, .pending = 1}).fork, 0u);
  EXPECT_EQ(pm.on_request({.idle = 0, .active = 1, .running = 1, .pending = 9}).fork, 2u);
  const auto full = pm.on_request({.active = 3, .running = 3, .pending = 1});
  EXPECT_EQ(full.fork, 0u);
  ASSERT_EQ(full.warnings.size(), 1u);
  EXPECT_EQ(full.warnings[0], "server reached max_children setting (3), consider raising it");
  EXPECT_FALSE(pm.maintain({.idle = 1, .running = 1, .oldest_idle_for_s = 10}).quit_oldest_idle);
  EXPECT_TRUE(pm.maintain({.idle = 1, .running = 1, .oldest_idle_for_s = 11}).quit_oldest_idle);
}

TEST(ProcessManager, StaticFollowsAResize) {
  auto c = dynamic();
  c.pm = config::Pm::kStatic;
  c.max_children = 4;
  ProcessManager pm(c);
  EXPECT_EQ(pm.maintain({.idle = 2, .running = 2}).fork, 2u);
  EXPECT_TRUE(pm.maintain({.idle = 6, .running = 6}).quit_oldest_idle);
}

}  // namespace
}  // namespace bulkhead::pool
