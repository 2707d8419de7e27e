// A walk through trees that are deep, that change, that lead elsewhere.
#include "sys/deep_walk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace bulkhead::sys {
namespace {

class DeepWalk : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bh-walk-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    path_ = name;
    top_ = Fd(::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { EXPECT_EQ(std::system(("rm -rf " + path_).c_str()), 0); }
  void make(const std::string& name) { std::filesystem::create_directories(path_ + "/" + name); }
  // How many entries there are, going into every one.
  Result<int> count() {
    int seen = 0;
    auto done = walk_below(top_, [&](FdRef, const std::string&) -> Result<Walk> {
      ++seen;
      return Walk::kDown;
    });
    if (!done) return std::unexpected(done.error());
    return seen;
  }

  std::string path_;
  Fd top_;
};

TEST_F(DeepWalk, ReachesTheBottomOfATreeDeeperThanDescriptorsAllow) {
  constexpr int kDepth = 3000;
  Fd at(::openat(top_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    at = Fd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto seen = count();
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(seen) << seen.error().describe();
  EXPECT_EQ(*seen, kDepth);
}

TEST_F(DeepWalk, VisitsEveryEntryOfEveryDirectoryOnce) {
  for (const char* name : {"a/b/c", "a/d", "e", "f/g/h/i"}) make(name);
  auto seen = count();
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, 9);
}

TEST_F(DeepWalk, FollowsNoLink) {
  make("a/b");
  ASSERT_EQ(::symlink("/", (path_ + "/root").c_str()), 0);
  auto seen = count();
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, 3);
}

TEST_F(DeepWalk, ComesBackToWhereItWasOrBeginsAnew) {
  make("a/b/c");
  make("elsewhere");
  bool moved = false;
  int seen = 0;
  auto done = walk_below(top_, [&](FdRef, const std::string& name) -> Result<Walk> {
    ++seen;
    if (name == "c" && !moved) {
      moved = true;
      std::filesystem::rename(path_ + "/a/b", path_ + "/elsewhere/b");
    }
    return Walk::kDown;
  });
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_GT(seen, 4);
}

TEST_F(DeepWalk, GivesUpOnATreeThatNeverHoldsStill) {
  make("a/b/c");
  make("z");
  bool there = true;
  auto done = walk_below(top_, [&](FdRef, const std::string& name) -> Result<Walk> {
    if (name == "c") {
      std::filesystem::rename(path_ + (there ? "/a/b" : "/z/b"), path_ + (there ? "/z/b" : "/a/b"));
      there = !there;
    }
    return Walk::kDown;
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().errno_value, EAGAIN);
}

}  // namespace
}  // namespace bulkhead::sys
