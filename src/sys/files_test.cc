#include "sys/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace bulkhead::sys {
namespace {

constexpr uid_t kSomebody = 12345;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/bulkhead-files-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    dir_ = path;
  }
  void TearDown() override {
    std::string command = "rm -rf " + dir_;
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  std::string dir_;
};

TEST_F(Files, WritesAFileAtomicallyAndReadsItBack) {
  ASSERT_TRUE(write_file_atomically(dir_ + "/pid", "12\n"));
  ASSERT_TRUE(write_file_atomically(dir_ + "/pid", "345\n"));
  EXPECT_EQ(*read_file(dir_ + "/pid"), "345\n");
  EXPECT_NE(::access((dir_ + "/pid.new").c_str(), F_OK), 0);
}

TEST_F(Files, RefusesToReadMoreThanAllowed) {
  ASSERT_TRUE(write_file_atomically(dir_ + "/f", "12345"));
  EXPECT_TRUE(read_file(dir_ + "/f", 5));
  EXPECT_EQ(read_file(dir_ + "/f", 4).error().errno_value, EFBIG);
}

TEST_F(Files, CreatesALogAndAppends) {
  for (int i = 0; i < 2; ++i) {
    auto fd = open_log(dir_ + "/log", 0640);
    ASSERT_TRUE(fd);
    write_all(*fd, "x\n");
  }
  EXPECT_EQ(*read_file(dir_ + "/log"), "x\nx\n");
  struct stat info;
  ::stat((dir_ + "/log").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(Files, FollowsALinkOfRoot) {
  ASSERT_EQ(::mkdir((dir_ + "/real").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("real", (dir_ + "/link").c_str()), 0);
  EXPECT_TRUE(open_log(dir_ + "/link/log"));
  EXPECT_EQ(::access((dir_ + "/real/log").c_str(), F_OK), 0);
}

TEST_F(Files, RefusesALinkThatASiteOwns) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(write_file_atomically(dir_ + "/secret", "s"));
  for (const char* target : {"secret", "/etc/passwd"}) {
    std::string link = dir_ + "/site.log";
    ::unlink(link.c_str());
    ASSERT_EQ(::symlink(target, link.c_str()), 0);
    ASSERT_EQ(::lchown(link.c_str(), kSomebody, kSomebody), 0);
    auto fd = open_log(link);
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().errno_value, ELOOP);
  }
}

TEST_F(Files, RefusesADirectoryLinkThatASiteOwns) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::symlink("/etc", (dir_ + "/logs").c_str()), 0);
  ASSERT_EQ(::lchown((dir_ + "/logs").c_str(), kSomebody, kSomebody), 0);
  auto fd = open_log(dir_ + "/logs/bulkhead-test-log");
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().errno_value, ELOOP);
  EXPECT_NE(::access("/etc/bulkhead-test-log", F_OK), 0);
}

TEST_F(Files, RefusesADirectoryAsLog) { EXPECT_FALSE(open_log(dir_)); }

TEST_F(Files, DoesNotHangOnAFifo) {
  ASSERT_EQ(::mkfifo((dir_ + "/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(open_log(dir_ + "/fifo"));  // nobody reads: ENXIO, at once
}

TEST_F(Files, GivesACopyOfStandardError) {
  auto fd = open_log("/dev/stderr");
  ASSERT_TRUE(fd);
  EXPECT_GT(fd->get(), 2);
}

TEST_F(Files, SaysNginxStyleWhyItFailed) {
  auto fd = open_log(dir_ + "/none/log");
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().describe(),
            "open() \"" + dir_ + "/none/log\" failed (2: No such file or directory)");
}

}  // namespace
}  // namespace bulkhead::sys
