#include "sandbox/site_policy.h"

#include <gtest/gtest.h>

namespace bulkhead::sandbox {
namespace {

TEST(SitePolicy, SurvivesItsByteForm) {
  SitePolicy policy;
  policy.mode = Mode::kStrict;
  policy.layers = set_of(Layer::kView) | set_of(Layer::kPid);
  policy.wide = true;
  policy.trees = {{"/srv/a", Tree::Access::kRead, Tree::Need::kMust, "sandbox.read"}};
  policy.masks = {"/srv/a/b"};
  policy.state_root = "/state";
  policy.state = "/state/sites/a";
  auto back = deserialise_policy(serialise(policy));
  ASSERT_TRUE(back);
  EXPECT_EQ(serialise(*back), serialise(policy));
  EXPECT_EQ(back->trees[0].origin, "sandbox.read");
  EXPECT_TRUE(back->wants(Layer::kPid));
  EXPECT_FALSE(back->wants(Layer::kSeccomp));
}

TEST(SitePolicy, NoBytesAreThePolicyOff) {
  auto policy = deserialise_policy("");
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->mode, Mode::kOff);
  EXPECT_FALSE(policy->wants(Layer::kView));
}

TEST(SitePolicy, RefusesDamagedBytes) {
  std::string bytes = serialise(SitePolicy{});
  EXPECT_FALSE(deserialise_policy(bytes.substr(1)));
  EXPECT_FALSE(deserialise_policy(bytes + "x"));
  bytes[0] = 9;  // no such mode
  EXPECT_FALSE(deserialise_policy(bytes));
}

TEST(SitePolicy, NamesLayersBothWays) {
  EXPECT_EQ(layer_names(layers_of({"view", "seccomp", "no such layer"})), "view, seccomp");
  EXPECT_EQ(layer_names(kAllLayers), "view, pid, ipc, landlock, seccomp, cgroup");
  EXPECT_EQ(layer_names(0), "");
}

TEST(SitePolicy, ANameThatOnlyBeginsAlikeIsNotWithin) {
  EXPECT_TRUE(is_within("/srv/a", "/srv/a"));
  EXPECT_TRUE(is_within("/srv/a/b", "/srv/a"));
  EXPECT_TRUE(is_within("/srv", "/"));
  EXPECT_FALSE(is_within("/srv/ab", "/srv/a"));
  EXPECT_FALSE(is_within("/srv", "/srv/a"));
}

}  // namespace
}  // namespace bulkhead::sandbox
