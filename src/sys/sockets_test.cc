#include "sys/sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace bulkhead::sys {
namespace {

TEST(Sockets, PrintAddressesAsNginxDoes) {
  EXPECT_EQ(address_text(*make_inet_address("127.0.0.1", 80)), "127.0.0.1:80");
  EXPECT_EQ(address_text(*make_inet_address("::1", 443)), "[::1]:443");
  EXPECT_EQ(address_text(*make_unix_address("/run/x.sock")), "unix:/run/x.sock");
  EXPECT_EQ(unix_path(*make_unix_address("/run/x.sock")), "/run/x.sock");
}

TEST(Sockets, ParseThePoolsListenValue) {
  auto text = [](const char* value) { return address_text(*parse_pool_listen(value)); };
  EXPECT_EQ(text("9000"), "[::]:9000");
  EXPECT_EQ(text("127.0.0.1:9000"), "127.0.0.1:9000");
  EXPECT_EQ(text("[::1]:9000"), "[::1]:9000");
  EXPECT_EQ(text("*:9000"), "0.0.0.0:9000");
  EXPECT_EQ(text("/run/a.sock"), "unix:/run/a.sock");
  for (const char* bad : {"", "0", "99999", "a.sock", "127.0.0.1:", "127.0.0.1:x"}) {
    EXPECT_FALSE(parse_pool_listen(bad)) << bad;
  }
}

TEST(Sockets, RefuseAPathThatIsTooLong) {
  EXPECT_TRUE(make_unix_address(std::string(107, 'x')));
  EXPECT_FALSE(make_unix_address(std::string(108, 'x')));
}

TEST(Sockets, ReportAnAddressInUse) {
  auto first = listen_on(*make_inet_address("127.0.0.1", 0), {});
  ASSERT_TRUE(first);
  EXPECT_TRUE(is_listening(*first));
  auto second = listen_on(local_address(*first), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().step, ListenError::Step::kBind);
  EXPECT_EQ(second.error().errno_value, EADDRINUSE);
}

class UnixSockets : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/bulkhead-sock-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    dir_ = path;
  }
  void TearDown() override { ASSERT_EQ(std::system(("rm -rf " + dir_).c_str()), 0); }
  std::string dir_;
};

TEST_F(UnixSockets, ReplaceAStaleFileButNotALiveServer) {
  std::string address = *make_unix_address(dir_ + "/s");
  auto first = listen_on(address, {});
  ASSERT_TRUE(first);
  EXPECT_FALSE(listen_on(address, {}));
  first->reset();  // dies, leaving its file behind
  EXPECT_TRUE(listen_on(address, {}));
}

TEST_F(UnixSockets, NeverReplaceAnOrdinaryFile) {
  ASSERT_EQ(std::system(("echo data > " + dir_ + "/s").c_str()), 0);
  EXPECT_FALSE(listen_on(*make_unix_address(dir_ + "/s"), {}));
  EXPECT_EQ(::access((dir_ + "/s").c_str(), F_OK), 0);
}

TEST_F(UnixSockets, GetTheirModeAndOwner) {
  UnixAccess access;
  access.mode = 0640;
  if (::geteuid() == 0) access.uid = 33;
  auto socket = listen_on(*make_unix_address(dir_ + "/s"), {}, &access);
  ASSERT_TRUE(socket);
  struct stat info;
  ASSERT_EQ(::stat((dir_ + "/s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  if (::geteuid() == 0) {
    EXPECT_EQ(info.st_uid, 33u);
  }
}

TEST_F(UnixSockets, TakeAnAclInsteadOfAnOwner) {
  UnixAccess access;
  access.mode = 0600;
  access.acl_users = {33};
  auto socket = listen_on(*make_unix_address(dir_ + "/s"), {}, &access);
  if (!socket && socket.error().errno_value == EOPNOTSUPP) GTEST_SKIP() << "no ACLs here";
  ASSERT_TRUE(socket) << socket.error().detail;
  struct stat info;
  ASSERT_EQ(::stat((dir_ + "/s").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, ::geteuid());
  EXPECT_EQ(info.st_mode & 0070, 0060u);  // the mask shows in the group bits
}

TEST_F(UnixSockets, TellWhoConnected) {
  auto listener = listen_on(*make_unix_address(dir_ + "/s"), {});
  ASSERT_TRUE(listener);
  auto client = connect_unix(dir_ + "/s");
  ASSERT_TRUE(client);
  Fd server = accept_one(*listener);
  ASSERT_TRUE(server.valid());
  EXPECT_EQ(*peer_uid(server), ::geteuid());
}

}  // namespace
}  // namespace bulkhead::sys
