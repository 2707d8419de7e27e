// Control groups: what the kernel's files say, names, and real groups where this machine has them.
#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/cgroup_disks.h"
#include "sandbox/cgroup_files.h"
#include "sandbox/cgroup_find.h"
#include "sandbox/child_fixture.h"

namespace bulkhead::sandbox {
namespace {

constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw\n";
constexpr const char* kTagged =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(GroupPlace, IsFoundBesideVersionOne) {
  auto place = find_groups(kHybrid, "9:name=systemd:/\n8:pids:/x\n0::/\n");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->mount, "/sys/fs/cgroup/uni fied");
  EXPECT_EQ(place->own, "");
}

TEST(GroupPlace, IsTheUnitsOwnUnderSystemd) {
  auto place = find_groups(kTagged, "0::/system.slice/bulkhead.service\n");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->mount, "/sys/fs/cgroup");
  EXPECT_EQ(place->own, "/system.slice/bulkhead.service");
}

TEST(GroupPlace, IsRelativeToWhatIsMounted) {
  const std::string bound = "30 23 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(find_groups(bound, "0::/docker/ab/x\n")->own, "/x");
  EXPECT_EQ(find_groups(bound, "0::/docker/abc\n")->own, "");
  EXPECT_EQ(find_groups(bound, "0::/../other\n")->own, "");
}

TEST(GroupPlace, IsMissingWithoutVersionTwo) {
  auto place =
      find_groups("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "1:x:/\n");
  ASSERT_FALSE(place);
  EXPECT_NE(place.error().text.find("cgroup version 2"), std::string::npos);
}

TEST(GroupName, CannotLeaveItsDirectoryNorBeAKernelsFile) {
  EXPECT_EQ(group_name("site1"), "site-site1");
  EXPECT_EQ(group_name("@www-data"), "site-%40www-data");
  EXPECT_EQ(group_name("../x\n"), "site-..%2Fx%0A");
  EXPECT_EQ(group_name("cgroup.procs"), "site-cgroup.procs");
}

TEST(GroupName, OfALongNameIsShortAndItsOwn) {
  const std::string a = group_name(std::string(300, 'a') + "1");
  const std::string b = group_name(std::string(300, 'a') + "2");
  EXPECT_LT(a.size(), 255u);
  EXPECT_NE(a, b);
}

TEST(Disks, AreThoseThatHoldSomething) {
  const TempDir dir;
  for (auto [name, size, number] : {std::tuple{"sda", "100", "8:0"},
                                    {"ram0", "8", "1:0"},
                                    {"loop0", "0", "7:0"},
                                    {"sr0", "", "11:0"}}) {
    (void)dir.make_dir(name);
    (void)dir.make_file(std::string(name) + "/size", std::string(size) + "\n");
    (void)dir.make_file(std::string(name) + "/dev", std::string(number) + "\n");
  }
  EXPECT_EQ(disks(dir.at("")), std::vector<std::string>{"8:0"});
  EXPECT_TRUE(disks(dir.at("none")).empty());
}

TEST(Disks, AreLimitedInTheKernelsWords) {
  config::PoolLimits limits;
  EXPECT_EQ(io_limit_line("8:0", limits), "8:0 rbps=max wbps=max riops=max wiops=max");
  limits.io_bytes_per_second = 1000;
  limits.io_per_second = 7;
  EXPECT_EQ(io_limit_line("8:0", limits), "8:0 rbps=1000 wbps=1000 riops=7 wiops=7");
}

TEST(Controllers, AreSaidInTheDirectivesWords) {
  EXPECT_EQ(controller_names(0), "");
  EXPECT_EQ(controller_names(kAllControllers), "memory, cpu, tasks, io");
}

// ---- the kernel's own groups --------------------------------------------------------------------

class Groups : public testing::Test {
 protected:
  void SetUp() override {
    auto place = GroupTree::find_place();
    if (::geteuid() != 0 || !place) GTEST_SKIP() << "no cgroup version 2, or not root";
    // A group of the test's own, so that no server of this machine is disturbed.
    base_ = place->base + "/bulkhead-test-" + std::to_string(::getpid());
    if (::mkdir(base_.c_str(), 0755) != 0) GTEST_SKIP() << "cgroups cannot be made here";
  }
  void TearDown() override {
    for (int i = 0; i < 200 && !base_.empty() && ::access(base_.c_str(), F_OK) == 0; ++i) {
      std::ofstream(base_ + "/cgroup.kill") << "1";
      sys::Fd parent(::open((base_ + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (remove_group(parent, base_.substr(base_.rfind('/') + 1).c_str())) break;
      ::usleep(5000);
    }
  }
  Result<GroupTree> create() { return GroupTree::create({base_, false}); }

  // A process in the run that forks one that leaves it, its session and its signals.
  pid_t start_stubborn(RunGroup& run) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (!join_group(run.directory())) ::_exit(1);
      // As a pool: it has nothing of master's, above all not the lock.
      ::dup2(ready[1], 3);
      ready[1] = 3;
      ::close_range(4, ~0U, 0);
      if (::fork() == 0) {
        ::setsid();
        for (int s = 1; s < 32; ++s) ::signal(s, SIG_IGN);
        if (::fork() != 0) ::_exit(0);
        (void)!::write(ready[1], "x", 1);
        for (;;) ::pause();
      }
      for (;;) ::pause();
    }
    char byte = 0;
    ::close(ready[1]);
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    return pid;
  }
  static bool removed(RunGroup& run) {
    for (int i = 0; i < 400; ++i) {
      if (run.remove()) return true;
      ::usleep(5000);
    }
    return false;
  }
  std::string base_;
};

TEST_F(Groups, EndEverythingThatARunEverForked) {
  auto tree = create();
  ASSERT_TRUE(tree) << tree.error().describe();
  auto site = tree->make_site("a/b");
  ASSERT_TRUE(site) << site.error().describe();
  auto run = (*site)->begin_run(7);
  ASSERT_TRUE(run) << run.error().describe();
  const pid_t pid = start_stubborn(**run);
  EXPECT_FALSE((*run)->remove());
  EXPECT_TRUE((*run)->kill());
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(removed(**run));
  EXPECT_TRUE((*site)->remove());
  tree->remove();
  EXPECT_NE(::access((base_ + "/bulkhead").c_str(), F_OK), 0);
}

TEST_F(Groups, OfAnotherServerAreLeftAlone) {
  auto first = create();
  ASSERT_TRUE(first);
  auto site = first->make_site("a");
  auto run = (*site)->begin_run(1);
  const pid_t pid = start_stubborn(**run);
  auto second = create();
  ASSERT_TRUE(second) << second.error().describe();
  EXPECT_EQ(first->path(), base_ + "/bulkhead");
  EXPECT_EQ(second->path(), base_ + "/bulkhead-2");
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), 0);  // it lives
  EXPECT_TRUE((*run)->kill());
  ::waitpid(pid, nullptr, 0);
}

TEST_F(Groups, LeftByAServerThatWasKilledAreRemoved) {
  pid_t pid = 0;
  {
    auto dead = create();
    ASSERT_TRUE(dead);
    auto site = dead->make_site("a");
    auto run = (*site)->begin_run(1);
    pid = start_stubborn(**run);
  }  // its lock goes with its descriptors
  auto next = create();
  ASSERT_TRUE(next) << next.error().describe();
  EXPECT_EQ(next->path(), base_ + "/bulkhead");
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_NE(::access((base_ + "/bulkhead/site-a").c_str(), F_OK), 0);
}

TEST_F(Groups, LimitWhatTheKernelHasControllersFor) {
  auto tree = create();
  ASSERT_TRUE(tree);
  auto site = tree->make_site("a");
  ASSERT_TRUE(site);
  config::PoolLimits limits;
  limits.memory_bytes = 64 << 20;
  limits.cpu_percent = 150;
  limits.tasks = 30;
  const Status done = (*site)->limit(limits);
  EXPECT_TRUE(done) << done.error().describe();
  if ((tree->controllers() & static_cast<uint8_t>(Controller::kTasks)) != 0) {
    std::ifstream file(base_ + "/bulkhead/site-a/pids.max");
    std::string value;
    file >> value;
    EXPECT_EQ(value, "30");
  }
  EXPECT_EQ((*site)->memory_ends(), 0u);
}

}  // namespace
}  // namespace bulkhead::sandbox
