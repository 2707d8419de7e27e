#include "sites/tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "sys/files.h"

namespace bulkhead::sites {
namespace {

class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bh-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
    for (const char* folder : {"site", "site/in", "site/in/deep", "outside"}) mkdir(folder);
    put("site/in/deep/file", "of the site");
    put("outside/secret", "of somebody else");
    ASSERT_EQ(::symlink("../../outside", at("site/in/way-out").c_str()), 0);
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(top_)); }
  std::string at(const std::string& name) const { return top_ + "/" + name; }
  void mkdir(const std::string& name) { ASSERT_EQ(::mkdir(at(name).c_str(), 0755), 0); }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(sys::write_file_atomically(at(name), text));
  }
  std::string text(const std::string& name) {
    auto read = sys::read_file(at(name));
    return read ? *read : "-";
  }
  std::string top_;
  const Owner self_{::geteuid(), ::getegid()};
};

TEST_F(TreeTest, RemovesATreeAndNothingBehindItsLinks) {
  ASSERT_TRUE(remove_tree(at("site")));
  EXPECT_FALSE(exists(at("site")));
  EXPECT_EQ(text("outside/secret"), "of somebody else");
  EXPECT_TRUE(remove_tree(at("site"))) << "again is no error";
  ASSERT_EQ(::symlink("outside", at("link").c_str()), 0);
  ASSERT_TRUE(remove_tree(at("link")));
  EXPECT_EQ(text("outside/secret"), "of somebody else");
}

TEST_F(TreeTest, CopiesLinksAsLinksAndLeavesDevicesAndPipesBehind) {
  ASSERT_EQ(::mkfifo(at("site/pipe").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(at("site/in/deep/file").c_str(), 04755), 0);
  uint64_t skipped = 0;
  ASSERT_TRUE(copy_tree(at("site"), at("copy"), self_, &skipped));
  EXPECT_EQ(skipped, 1u);
  EXPECT_EQ(text("copy/in/deep/file"), "of the site");
  struct stat st {};
  ASSERT_EQ(::lstat(at("copy/in/way-out").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  ASSERT_EQ(::stat(at("copy/in/deep/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0755u) << "no set-id bit goes along";
  EXPECT_FALSE(copy_tree(at("site"), at("copy"), self_, nullptr)) << "the target exists";
  EXPECT_FALSE(copy_tree(at("site/in/way-out"), at("copy2"), self_, nullptr)) << "a link";
}

// The disk that the copy takes is the machine's, whatever size a site claims.
TEST_F(TreeTest, AHoleIsCopiedAsAHole) {
  constexpr off_t kSize = off_t{512} << 20;
  ASSERT_EQ(::truncate(at("site/in/deep/file").c_str(), kSize), 0);
  sys::Fd fd(::open(at("site/in/deep/file").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "end", 3, kSize / 2), 3);
  ASSERT_TRUE(copy_tree(at("site"), at("copy"), self_, nullptr));
  struct stat st {};
  ASSERT_EQ(::stat(at("copy/in/deep/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, kSize);
  EXPECT_LT(st.st_blocks * 512, 1 << 20);
  sys::Fd copy(::open(at("copy/in/deep/file").c_str(), O_RDONLY | O_CLOEXEC));
  char begin[11] = {}, middle[5] = {};
  ASSERT_EQ(::pread(copy.get(), begin, sizeof begin, 0), 11);
  ASSERT_EQ(::pread(copy.get(), middle, sizeof middle, kSize / 2 - 1), 5);
  EXPECT_EQ(std::string(begin, sizeof begin), "of the site");
  EXPECT_EQ(std::string(middle, sizeof middle), std::string("\0end\0", 5));
}

TEST_F(TreeTest, MovesOntoNothingThatExists) {
  EXPECT_FALSE(move_tree(at("site"), at("outside")));
  ASSERT_TRUE(move_tree(at("site"), at("moved")));
  EXPECT_EQ(text("moved/in/deep/file"), "of the site");
}

TEST_F(TreeTest, ADirectoryIsNotMadeThroughALink) {
  ASSERT_EQ(::symlink("outside", at("link").c_str()), 0);
  EXPECT_FALSE(make_directory(at("link"), 0700, self_));
  EXPECT_TRUE(make_directory(at("made"), 0711, self_));
  struct stat st {};
  ASSERT_EQ(::stat(at("made").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0711u);
}

TEST_F(TreeTest, OpensNothingAboveOrBesideADirectory) {
  auto directory = open_in_roots(at("site"), O_PATH | O_DIRECTORY);
  ASSERT_TRUE(directory);
  EXPECT_TRUE(open_below(*directory, "in/deep/file", O_RDONLY));
  EXPECT_FALSE(open_below(*directory, "in/way-out/secret", O_RDONLY));
  EXPECT_FALSE(open_below(*directory, "../outside/secret", O_RDONLY));
  EXPECT_FALSE(open_below(*directory, "/etc/passwd", O_RDONLY));
}

TEST_F(TreeTest, ATreeDeeperThanTheLimitIsNotCopiedButRemoved) {
  std::string path = "deep";
  mkdir(path);
  for (int i = 0; i < 4 * kDepthMax; ++i) mkdir(path += "/d");
  auto done = copy_tree(at("deep"), at("copy"), self_, nullptr);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().errno_value, ELOOP);
  EXPECT_TRUE(remove_tree(at("deep")));
  EXPECT_FALSE(exists(at("deep")));
  EXPECT_TRUE(remove_tree(at("copy")));
}

// A site swaps a directory for a link to the outside as fast as it can, while root works in it.
class RaceTest : public TreeTest {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    swapper_ = ::fork();
    if (swapper_ != 0) return;
    const std::string real = at("site/in"), spare = at("site/spare"), link = at("site/link");
    if (::symlink("../outside", link.c_str()) != 0) ::_exit(1);
    for (;;) {  // ends by SIGKILL
      ::rename(real.c_str(), spare.c_str());
      ::rename(link.c_str(), real.c_str());
      ::rename(real.c_str(), link.c_str());
      ::rename(spare.c_str(), real.c_str());
    }
  }
  void TearDown() override {
    stop();
    TreeTest::TearDown();
  }
  void stop() {
    if (swapper_ <= 0) return;
    ::kill(swapper_, SIGKILL);
    ::waitpid(swapper_, nullptr, 0);
    swapper_ = -1;
  }
  pid_t swapper_ = -1;
};

TEST_F(RaceTest, ACopyNeverHoldsWhatALinkLedTo) {
  for (int i = 0; i < 300; ++i) {
    const std::string copy = "copy" + std::to_string(i);
    (void)copy_tree(at("site"), at(copy), self_, nullptr);
    for (const char* name : {"/in/secret", "/link/secret", "/spare/secret"}) {
      struct stat st {};
      const std::string parent = at(copy + name).substr(0, at(copy + name).rfind('/'));
      if (::lstat(parent.c_str(), &st) != 0 || S_ISLNK(st.st_mode)) continue;
      EXPECT_FALSE(exists(at(copy + name))) << copy << name;
    }
    ASSERT_TRUE(remove_tree(at(copy)));
  }
}

TEST_F(RaceTest, ARemovalNeverReachesWhatALinkLedTo) {
  for (int i = 0; i < 300; ++i) {
    (void)remove_tree(at("site/in"));
    ASSERT_EQ(text("outside/secret"), "of somebody else") << i;
    ::mkdir(at("site/in").c_str(), 0755);
    (void)sys::write_file_atomically(at("site/in/file"), "again");
  }
}

}  // namespace
}  // namespace bulkhead::sites
