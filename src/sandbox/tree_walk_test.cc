#include "sandbox/tree_walk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "sandbox/state_dir.h"

namespace bulkhead::sandbox {
namespace {

constexpr uid_t kSite = 12345, kOther = 54321;

// Needs root: directories of several users.
class TreeWalk : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    char name[] = "/srv/bhwalkXXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    top_ = name;
    chmod(name, 0755);
  }
  void TearDown() override {
    if (!top_.empty()) EXPECT_EQ(system(("rm -rf " + top_).c_str()), 0);
  }
  std::string dir(const std::string& name, uid_t owner) {
    const std::string path = top_ + "/" + name;
    EXPECT_EQ(mkdir(path.c_str(), 0755), 0);
    EXPECT_EQ(lchown(path.c_str(), owner, owner), 0);
    return path;
  }
  std::string link(const std::string& name, const std::string& target, uid_t owner) {
    const std::string path = top_ + "/" + name;
    EXPECT_EQ(symlink(target.c_str(), path.c_str()), 0);
    EXPECT_EQ(lchown(path.c_str(), owner, owner), 0);
    return path;
  }
  std::string top_;
};

TEST_F(TreeWalk, ShowsTheTopmostDirectoryThatTheSiteOwns) {
  dir("home", kSite);
  const std::string root = dir("home/www", kSite);
  auto walked = walk_tree(root, kSite);
  ASSERT_TRUE(walked);
  ASSERT_EQ(walked->shown.size(), 1u);
  EXPECT_EQ(walked->shown[0].path, top_ + "/home");
  walked = walk_tree(root, kOther);
  ASSERT_TRUE(walked);
  EXPECT_EQ(walked->shown.back().path, root);
}

TEST_F(TreeWalk, FollowsALinkOfTheSiteWithinItsOwn) {
  dir("rel", kSite);
  dir("rel/7", kSite);
  link("rel/current", "7", kSite);
  auto walked = walk_tree(top_ + "/rel/current", kSite);
  ASSERT_TRUE(walked);
  for (const Found& f : walked->shown) EXPECT_EQ(f.path, top_ + "/rel");
  EXPECT_TRUE(walked->links.empty());
}

TEST_F(TreeWalk, RefusesALinkOfTheSiteToAnothersTree) {
  dir("a", kSite);
  const std::string other = dir("b", kOther);
  auto walked = walk_tree(link("a/www", other, kSite), kSite);
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().errno_value, ELOOP);
  EXPECT_FALSE(walk_tree(link("a/all", "/", kSite), kSite));
}

TEST_F(TreeWalk, FollowsTheAdministratorsLinkAndShowsWhereItLies) {
  const std::string real = dir("real", kSite);
  dir("links", 0);
  auto walked = walk_tree(link("links/www", real, 0), kSite);
  ASSERT_TRUE(walked);
  ASSERT_EQ(walked->shown.size(), 2u);
  EXPECT_EQ(walked->shown[0].path, top_ + "/links");
  EXPECT_EQ(walked->shown[1].path, real);
}

TEST_F(TreeWalk, NamesWhatIsMissing) {
  auto walked = walk_tree(top_ + "/none", kSite);
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().errno_value, ENOENT);
  EXPECT_NE(walked.error().text.find("/none"), std::string::npos);
}

TEST_F(TreeWalk, EndsInARingOfLinks) {
  link("one", top_ + "/two", 0);
  auto walked = walk_tree(link("two", top_ + "/one", 0), kSite);
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().errno_value, ELOOP);
}

TEST_F(TreeWalk, StateDirectoryIsRootsAndItsLeavesTheSites) {
  const std::string state = top_ + "/state";
  ASSERT_TRUE(prepare_state_root(state));
  const std::string site = site_state(state, "a/../b");
  EXPECT_EQ(site, state + "/sites/a%2F..%2Fb");
  sys::Identity who;
  who.uid = who.gid = kSite;
  ASSERT_TRUE(prepare_site_state(site, who));
  struct stat st {};
  ASSERT_EQ(lstat((site + "/tmp").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, kSite);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  ASSERT_EQ(lstat(site.c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 0u);
  ASSERT_EQ(chmod(state.c_str(), 0777), 0);
  EXPECT_FALSE(prepare_state_root(state));
}

TEST_F(TreeWalk, ALeafThatIsALinkIsRefused) {
  const std::string state = top_ + "/state";
  ASSERT_TRUE(prepare_state_root(state));
  const std::string site = site_state(state, "a");
  ASSERT_EQ(mkdir(site.c_str(), 0711), 0);
  ASSERT_EQ(symlink("/etc", (site + "/tmp").c_str()), 0);
  sys::Identity who;
  who.uid = who.gid = kSite;
  EXPECT_FALSE(prepare_site_state(site, who));
  struct stat st {};
  ASSERT_EQ(stat("/etc", &st), 0);
  EXPECT_EQ(st.st_uid, 0u);
}

TEST(TreeWalkNames, CommonDirectoriesAreNobodys) {
  for (const char* path : {"/", "/home", "/srv", "/var/www", "/tmp"}) EXPECT_TRUE(is_common(path));
  EXPECT_FALSE(is_common("/srv/a"));
}

}  // namespace
}  // namespace bulkhead::sandbox
