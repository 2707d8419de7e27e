// Disk shares: numbers of projects, and what is said where there are none.  (The limit itself is
// shown on a file system with project quota: tests/vm/run.)
#include "sandbox/quota.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "sandbox/child_fixture.h"

namespace bulkhead::sandbox {
namespace {

TEST(Quota, ANumberIsTheSitesAndNeverThatOfOrdinaryFiles) {
  EXPECT_EQ(project_of("a"), project_of("a"));
  EXPECT_NE(project_of("a"), project_of("b"));
  EXPECT_NE(project_of(""), 0u);
}

TEST(Quota, SaysThatAFileSystemHasNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  const TempDir dir;
  const std::string place = dir.make_dir("state");
  if (::mount("none", place.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "no mounts here";
  const Status done = limit_disk(place, "a", 1 << 20);
  ::umount(place.c_str());
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("has no project quota"), std::string::npos);
}

TEST(Quota, FollowsNoLink) {
  const TempDir dir;
  (void)dir.make_dir("real");
  ASSERT_EQ(::symlink(dir.at("real").c_str(), dir.at("link").c_str()), 0);
  EXPECT_FALSE(limit_disk(dir.at("link"), "a", 1 << 20));
}

}  // namespace
}  // namespace bulkhead::sandbox
