// What Landlock refuses and what it leaves alone, tried by real processes.
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <thread>

#include "sandbox/child_fixture.h"

namespace bulkhead::sandbox {
namespace {

bool readable(const std::string& path) {
  sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  return fd.valid() && ::read(fd.get(), &byte, 1) >= 0;
}
bool writable(const std::string& path) {
  sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return fd.valid() && ::write(fd.get(), "x", 1) == 1;
}
int run(const std::string& program) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(program.c_str(), program.c_str(), nullptr);
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

class Landlock : public testing::Test {
 protected:
  void SetUp() override {
    if (landlock_abi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  }
  TempDir dir_;
};

TEST_F(Landlock, AllowsWhatIsNamedAndNothingElse) {
  std::string own = dir_.make_dir("own"), text = dir_.make_dir("text");
  std::string neighbour = dir_.make_dir("neighbour");
  std::string page = dir_.make_file("text/page", "page");
  std::string secret = dir_.make_file("neighbour/secret", "secret");
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock(
                          {.paths = {{own, PathRule::kReadWrite}, {text, PathRule::kRead}}}));
              MUST(2, writable(own + "/new") && readable(own + "/new"));
              MUST(3, ::rename((own + "/new").c_str(), (own + "/newer").c_str()) == 0);
              MUST(4, ::mkdir((own + "/d").c_str(), 0700) == 0);
              MUST(5, ::symlink("x", (own + "/l").c_str()) == 0);
              MUST(6, ::truncate((own + "/newer").c_str(), 0) == 0);
              MUST(7, ::unlink((own + "/newer").c_str()) == 0);
              MUST(8, readable(page) && !writable(page));
              MUST(9, !writable(text + "/new"));
              MUST(10, ::unlink(page.c_str()) < 0 && errno == EACCES);
              MUST(11, !readable(secret) && errno == EACCES);
              MUST(12, ::open(neighbour.c_str(), O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
              MUST(13, landlock_abi() < 3 || (::truncate(page.c_str(), 0) < 0 && errno == EACCES));
              return 0;
            }));
}

TEST_F(Landlock, StartsProgramsOnlyFromWhereTheyMayBeStarted) {
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {{"/usr", PathRule::kReadExec},
                                                      {"/lib", PathRule::kReadExec},
                                                      {"/lib64", PathRule::kReadExec},
                                                      {"/etc", PathRule::kRead}}}));
              MUST(2, run("/usr/bin/true") == 0);
              return 0;
            }));
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {{"/usr", PathRule::kRead}}}));
              MUST(2, readable("/usr/bin/true"));
              MUST(3, run("/usr/bin/true") == 99);
              return 0;
            }));
}

TEST_F(Landlock, WithNoPathAtAllLeavesOpenDescriptorsPipesAndMemory) {
  std::string secret = dir_.make_file("secret", "secret");
  sys::Fd inherited(::open(secret.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(
      0, in_child([&] {
        MUST(1, restrict_by_landlock({}));
        MUST(2, !readable(secret) && !readable("/") && !readable("/dev/null"));
        char text[6];
        MUST(3, ::read(inherited.get(), text, 6) == 6 && ::ftruncate(inherited.get(), 1) == 0);
        int pipe[2], pair[2];
        MUST(4, ::pipe(pipe) == 0 && ::write(pipe[1], "x", 1) == 1);
        MUST(5, ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        int memory = ::memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        MUST(6, memory >= 0 && ::ftruncate(memory, 4096) == 0);
        MUST(7, ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) != MAP_FAILED);
        return 0;
      }));
}

TEST_F(Landlock, LeavesOutWhatIsMissingAndSaysSo) {
  std::vector<std::string> skipped;
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {{dir_.at("none"), PathRule::kReadWrite},
                                                      {dir_.at("none/x"), PathRule::kRead},
                                                      {"/usr", PathRule::kRead}}},
                                           &skipped));
              MUST(2, skipped.size() == 2);
              MUST(3, skipped[0] == dir_.at("none") + ": No such file or directory");
              MUST(4, readable("/usr/bin/true"));
              return 0;
            }));
}

// A site could put a link to a neighbour where a rule of its own stands.
TEST_F(Landlock, DoesNotFollowALinkToWhatBelongsToSomebodyElse) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to give files away";
  std::string neighbour = dir_.make_dir("neighbour"), own = dir_.make_dir("own");
  std::string secret = dir_.make_file("neighbour/secret", "secret");
  std::string release = dir_.make_dir("own/release"), page = dir_.make_file("own/release/p", "p");
  ASSERT_EQ(0, ::symlink(neighbour.c_str(), (own + "/trap").c_str()));
  ASSERT_EQ(0, ::symlink("release", (own + "/current").c_str()));
  ASSERT_EQ(0, ::lchown((own + "/trap").c_str(), 65533, 65533));
  ASSERT_EQ(0, ::lchown((own + "/current").c_str(), 65533, 65533));
  ASSERT_EQ(0, ::chown(release.c_str(), 65533, 65533));
  std::vector<std::string> skipped;
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {{own + "/trap", PathRule::kRead},
                                                      {own + "/current", PathRule::kRead}}},
                                           &skipped));
              MUST(2, !readable(secret));
              MUST(3, readable(page));
              MUST(4, skipped.size() == 1);
              return 0;
            }));
}

TEST_F(Landlock, TakesADescriptorInPlaceOfAPath) {
  std::string own = dir_.make_dir("own"), page = dir_.make_file("own/page", "p");
  sys::Fd object(::open(own.c_str(), O_PATH | O_CLOEXEC));
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {{"/nowhere", PathRule::kRead, object}}}));
              MUST(2, readable(page));
              return 0;
            }));
}

int connect_tcp(uint16_t port) {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}
int bind_tcp(uint16_t port) {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 ? 0 : errno;
}

TEST_F(Landlock, LimitsTcpPortsWhereTheyAreNamed) {
  if (landlock_abi() < 4) GTEST_SKIP() << "needs Landlock ABI 4";
  sys::Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(0, ::bind(server.get(), reinterpret_cast<sockaddr*>(&at), size));
  ASSERT_EQ(0, ::listen(server.get(), 5));
  ASSERT_EQ(0, ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&at), &size));
  uint16_t open = ntohs(at.sin_port), other = open == 9 ? 10 : 9;
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({.paths = {},
                                            .tcp_connect = std::vector<uint16_t>{open},
                                            .tcp_bind = std::vector<uint16_t>{}}));
              MUST(2, connect_tcp(open) == 0);
              MUST(3, connect_tcp(other) == EACCES);
              MUST(4, bind_tcp(0) == EACCES);
              return 0;
            }));
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({}));
              MUST(2, connect_tcp(open) == 0 && bind_tcp(0) == 0);
              return 0;
            }));
}

TEST_F(Landlock, KeepsSignalsInsideTheDomain) {
  if (landlock_abi() < 6) GTEST_SKIP() << "needs Landlock ABI 6";
  pid_t outside = ::getpid();
  auto signals = [&](const LandlockRules& rules) {
    return in_child([&] {
      MUST(1, restrict_by_landlock(rules));
      pid_t worker = ::fork();  // a supervisor and its worker share the domain
      if (worker == 0) {
        ::pause();
        ::_exit(0);
      }
      MUST(2, ::kill(worker, SIGKILL) == 0 && ::waitpid(worker, nullptr, 0) == worker);
      MUST(3, ::kill(::getpid(), 0) == 0);
      return ::kill(outside, 0) == 0 ? 0 : 50;
    });
  };
  EXPECT_EQ(50, signals({}));
  EXPECT_EQ(0, signals({.scope_signals = false}));
}

TEST_F(Landlock, KeepsAbstractSocketsInsideTheDomainAndPathSocketsUsable) {
  if (landlock_abi() < 6) GTEST_SKIP() << "needs Landlock ABI 6";
  auto address = [](const std::string& name) {
    sockaddr_un a{.sun_family = AF_UNIX, .sun_path = {}};
    std::copy(name.begin(), name.end(), a.sun_path);
    return a;
  };
  auto serve = [](sockaddr_un a, socklen_t size) {
    sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(0, ::bind(fd.get(), reinterpret_cast<sockaddr*>(&a), size));
    EXPECT_EQ(0, ::listen(fd.get(), 5));
    return fd;
  };
  auto reach = [](sockaddr_un a, socklen_t size) {
    sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&a), size) == 0 ? 0 : errno;
  };
  std::string abstract = std::string(1, '\0') + "bulkhead-test-" + std::to_string(::getpid());
  sockaddr_un by_name = address(abstract), by_path = address(dir_.at("socket"));
  auto name_size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + abstract.size());
  sys::Fd first = serve(by_name, name_size), second = serve(by_path, sizeof by_path);
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({}));
              MUST(2, reach(by_name, name_size) == EPERM);
              MUST(3, reach(by_path, sizeof by_path) == 0);
              return 0;
            }));
}

TEST_F(Landlock, NeedsNoNewPrivilegesAndThenHoldsForThreadsAndChildren) {
  std::string secret = dir_.make_file("secret", "secret");
  EXPECT_EQ(0, in_child([&] {
              MUST(1, restrict_by_landlock({}));
              bool seen = false;
              std::thread([&] { seen = readable(secret); }).join();
              MUST(2, !seen);
              pid_t child = ::fork();
              if (child == 0) ::_exit(readable(secret) ? 1 : 0);
              int status = 0;
              ::waitpid(child, &status, 0);
              MUST(3, status == 0);
              MUST(4, restrict_by_landlock({.paths = {{"/", PathRule::kReadWrite}}}));
              MUST(5, !readable(secret));  // a second domain only narrows
              return 0;
            }));
}

}  // namespace
}  // namespace bulkhead::sandbox
