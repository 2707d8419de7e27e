#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "sandbox/base_tree.h"
#include "sys/files.h"

namespace bulkhead::sandbox {
namespace {

namespace fs = std::filesystem;

class EtcRefreshTest : public ::testing::Test {
 protected:
  EtcRefreshTest() {
    std::string name = fs::temp_directory_path() / "bhetcXXXXXX";
    base_ = ::mkdtemp(name.data());
    for (const char* folder : {"from/ssl/certs", "to/ssl/certs"})
      fs::create_directories(base_ / folder);
  }
  ~EtcRefreshTest() override { fs::remove_all(base_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(base_ / name) << text;
  }
  std::string copied(const std::string& name) {
    auto text = sys::read_file(base_ / "to" / name);
    return text ? *text : "(none)";
  }
  fs::path base_;
};

TEST_F(EtcRefreshTest, CopiesWhatChangedAndNothingElse) {
  write("from/resolv.conf", "nameserver 192.0.2.1");
  write("to/resolv.conf", "nameserver 192.0.2.1");
  write("from/hosts", "one");
  write("to/hosts", "as copied");
  EtcRefresh refresh(base_ / "from");
  EXPECT_EQ(refresh.renew(base_ / "to"), 0);
  write("from/resolv.conf", "nameserver 192.0.2.20");
  EXPECT_EQ(refresh.renew(base_ / "to"), 1);
  EXPECT_EQ(copied("resolv.conf"), "nameserver 192.0.2.20");
  EXPECT_EQ(copied("hosts"), "as copied");
  EXPECT_EQ(refresh.renew(base_ / "to"), 0);
}

TEST_F(EtcRefreshTest, FollowsTheLinkOfAResolver) {
  fs::create_directory(base_ / "run");
  write("run/stub", "old");
  fs::create_symlink(base_ / "run/stub", base_ / "from/resolv.conf");
  EtcRefresh refresh(base_ / "from");
  write("run/stub", "newer");
  EXPECT_EQ(refresh.renew(base_ / "to"), 1);
  EXPECT_EQ(copied("resolv.conf"), "newer");
  EXPECT_FALSE(fs::is_symlink(base_ / "to/resolv.conf"));
}

TEST_F(EtcRefreshTest, RenewsTheCertificates) {
  EtcRefresh refresh(base_ / "from");
  write("from/ssl/certs/ca-certificates.crt", "all of them");
  EXPECT_EQ(refresh.renew(base_ / "to"), 1);
  EXPECT_EQ(copied("ssl/certs/ca-certificates.crt"), "all of them");
  EXPECT_FALSE(fs::exists(base_ / "to/ssl/certs/.renewed"));
}

TEST_F(EtcRefreshTest, TakesAwayWhatIsGoneOrNoLongerEverybodysToRead) {
  for (const char* name : {"hosts", "environment"}) {
    write(std::string("from/") + name, "text");
    write(std::string("to/") + name, "text");
  }
  EtcRefresh refresh(base_ / "from");
  fs::remove(base_ / "from/hosts");
  ASSERT_EQ(::chmod((base_ / "from/environment").c_str(), 0600), 0);
  EXPECT_EQ(refresh.renew(base_ / "to"), 2);
  EXPECT_EQ(copied("hosts"), "(none)");
  EXPECT_EQ(copied("environment"), "(none)");
}

TEST_F(EtcRefreshTest, LeavesTheOldCopyToWhoHasItOpen) {
  write("from/hosts", "first");
  write("to/hosts", "first");
  EtcRefresh refresh(base_ / "from");
  std::ifstream open(base_ / "to/hosts");
  write("from/hosts", "second");
  refresh.renew(base_ / "to");
  std::string text;
  open >> text;
  EXPECT_EQ(text, "first");
}

}  // namespace
}  // namespace bulkhead::sandbox
