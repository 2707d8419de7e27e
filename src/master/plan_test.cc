#include "master/plan.h"

#include <gtest/gtest.h>

namespace bulkhead::master {
namespace {

config::PoolConfig pool(const std::string& name) {
  config::PoolConfig p;
  p.name = name;
  p.user = p.group = name;
  p.listen = "/run/" + name + ".sock";
  p.max_children = 5;
  return p;
}
config::Site site(const std::string& name, bool has_pool, uint32_t id = 0) {
  config::Site s;
  s.id = id;
  s.name = name;
  s.user = s.group = name;
  s.has_pool = has_pool;
  return s;
}

TEST(SiteIds, StayWhileTheIdentityStays) {
  SiteIds ids;
  uint32_t a = ids.id_for(site("a", true)), b = ids.id_for(site("b", true));
  EXPECT_NE(a, b);
  EXPECT_EQ(ids.id_for(site("a", true)), a);
}

TEST(SiteIds, AreNeverUsedForAnotherIdentity) {
  SiteIds ids;
  uint32_t a = ids.id_for(site("a", true));
  config::Site other_user = site("a", true);
  other_user.user = "mallory";
  EXPECT_NE(ids.id_for(other_user), a);
  EXPECT_NE(ids.id_for(site("a", false)), a);
  EXPECT_EQ(ids.id_for(site("a", true)), a);
}

TEST(SiteIds, RenumberEverythingInASnapshot) {
  SiteIds ids;
  (void)ids.id_for(site("gone", true));
  config::Snapshot snapshot;
  snapshot.sites = {site("a", true, 1), site("b", true, 2)};
  snapshot.opener_of_server = {2, 1, 2};
  snapshot.pool_listen_sites = {1, 2};
  ids.apply(&snapshot);
  uint32_t a = snapshot.sites[0].id, b = snapshot.sites[1].id;
  EXPECT_EQ(snapshot.opener_of_server, (std::vector<uint32_t>{b, a, b}));
  EXPECT_EQ(snapshot.pool_listen_sites, (std::vector<uint32_t>{a, b}));
}

TEST(ComparePools, KnowsNumbersFromMeaning) {
  config::PoolConfig before = pool("a"), after = pool("a");
  EXPECT_EQ(compare_pools(before, after), PoolChange::kSame);
  after.max_children = 9;
  after.process_idle_timeout_s = 1;
  EXPECT_EQ(compare_pools(before, after), PoolChange::kNumbers);
  after.pm = config::Pm::kOndemand;
  EXPECT_EQ(compare_pools(before, after), PoolChange::kDifferent);
}

TEST(ComparePools, IgnoresTheSocketAndWhereItWasWritten) {
  config::PoolConfig before = pool("a"), after = pool("a");
  after.listen_mode = "0666";
  after.listen_owner = "www-data";
  after.listen_backlog = 7;
  after.file = "/elsewhere.conf";
  after.line = 99;
  EXPECT_EQ(compare_pools(before, after), PoolChange::kSame);
}

TEST(ComparePools, SeesEveryKindOfMeaning) {
  auto changed = [](auto change) {
    config::PoolConfig before = pool("a"), after = pool("a");
    change(after);
    return compare_pools(before, after);
  };
  EXPECT_EQ(changed([](auto& p) {
              p.php_values.push_back({"memory_limit", "1M", config::PhpDefine::Kind::kValue});
            }),
            PoolChange::kDifferent);
  EXPECT_EQ(changed([](auto& p) { p.env.push_back({"A", "b"}); }), PoolChange::kDifferent);
  EXPECT_EQ(changed([](auto& p) { p.user = "other"; }), PoolChange::kDifferent);
  EXPECT_EQ(changed([](auto& p) { p.chdir = "/"; }), PoolChange::kDifferent);
  EXPECT_EQ(changed([](auto& p) { p.access_log = "/x"; }), PoolChange::kDifferent);
}

TEST(PlanSites, NamesAStepForEverySite) {
  config::PoolConfig same = pool("same"), numbers = pool("n"), numbers2 = pool("n"),
                     meaning = pool("m"), meaning2 = pool("m"), added = pool("added");
  numbers2.max_children = 50;
  meaning2.clear_env = false;
  std::vector<PlannedSite> before{
      {1, &same}, {2, &numbers}, {3, &meaning}, {4, nullptr}, {5, &same}};
  std::vector<PlannedSite> after{
      {1, &same}, {2, &numbers2}, {3, &meaning2}, {4, nullptr}, {6, &added}};
  EXPECT_EQ(plan_sites(before, after), (std::vector<SiteStep>{{1, SiteAction::kKeep},
                                                              {2, SiteAction::kResize},
                                                              {3, SiteAction::kReplace},
                                                              {4, SiteAction::kKeep},
                                                              {6, SiteAction::kAdd},
                                                              {5, SiteAction::kRemove}}));
}

TEST(PlanSites, TouchesNothingWhenNothingChanged) {
  config::PoolConfig a = pool("a");
  std::vector<PlannedSite> sites{{1, &a}, {2, nullptr}};
  for (const SiteStep& step : plan_sites(sites, sites)) EXPECT_EQ(step.action, SiteAction::kKeep);
}

TEST(PlanListeners, OpensNewAndClosesGoneOnes) {
  ListenSteps steps = plan_listeners({"a", "b", "c"}, {"b", "d", "d", "c"});
  EXPECT_EQ(steps.open, std::vector<std::string>{"d"});
  EXPECT_EQ(steps.close, std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace bulkhead::master
