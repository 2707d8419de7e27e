// What the filter for sites refuses and lets through, tried by real processes.
#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netdb.h>
#include <pty.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "base/sanitized.h"
#include "sandbox/capabilities.h"
#include "sandbox/child_fixture.h"
#include "sandbox/keyring.h"
#include "sandbox/seccomp_rules.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {
namespace {

// The errno of a call that fails; 0 when it works.
template <class... Args>
int failing(long number, Args... args) {
  errno = 0;
  return ::syscall(number, args...) < 0 ? errno : 0;
}

template <class Body>
int as_site(Body body) {
  auto filter = Filter::for_site();
  EXPECT_TRUE(filter) << filter.error().describe();
  return in_child([&] {
    MUST(99, install(*filter));
    return body();
  });
}

TEST(SiteFilter, ForbidsTracingAndOtherProcessesMemory) {
  EXPECT_EQ(
      0, as_site([] {
        MUST(1, ::ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 && errno == EPERM);
        MUST(2, failing(SYS_process_vm_readv, ::getpid(), nullptr, 0, nullptr, 0, 0) == EPERM);
        MUST(3, failing(SYS_process_vm_writev, ::getpid(), nullptr, 0, nullptr, 0, 0) == EPERM);
        MUST(4, failing(SYS_kcmp, ::getpid(), ::getpid(), 0, 0, 0) == EPERM);
        MUST(5, failing(SYS_pidfd_getfd, 0, 0, 0) == EPERM);
        return 0;
      }));
}

TEST(SiteFilter, ForbidsKeysProgramsInTheKernelAndIoUring) {
  EXPECT_EQ(0, as_site([] {
              MUST(1, failing(SYS_keyctl, 0, -3, 0, 0, 0) == EPERM);
              MUST(2, failing(SYS_add_key, "user", "x", "y", 1, -3) == EPERM);
              MUST(3, failing(SYS_request_key, "user", "x", nullptr, 0) == EPERM);
              MUST(4, failing(SYS_bpf, 0, nullptr, 0) == EPERM);
              MUST(5, failing(SYS_perf_event_open, nullptr, 0, -1, -1, 0) == EPERM);
              MUST(6, failing(SYS_userfaultfd, 0) == EPERM);
              for (int call : {425, 426, 427}) MUST(7, failing(call, 0, 0, 0, 0, 0, 0) == EPERM);
              return 0;
            }));
}

TEST(SiteFilter, ForbidsNamespacesAndMounts) {
  EXPECT_EQ(0, as_site([] {
              MUST(1, ::unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
              MUST(2, ::unshare(CLONE_FILES) < 0 && errno == EPERM);
              MUST(3, failing(SYS_setns, 0, 0) == EPERM);
              MUST(4, failing(SYS_mount, "x", "/", "tmpfs", 0, nullptr) == EPERM);
              MUST(5, failing(SYS_umount2, "/", 0) == EPERM && failing(SYS_chroot, "/") == EPERM);
              MUST(6, failing(SYS_pivot_root, "/", "/") == EPERM);
              for (int call : {428, 429, 430, 431, 432, 433, 442, 457, 458, 467}) {
                MUST(7, failing(call, 0, 0, 0, 0, 0, 0) == EPERM);
              }
              return 0;
            }));
}

// One by one, and with a bit above the 32 that the kernel reads.
TEST(SiteFilter, ForbidsEveryNamespaceFlagOfClone) {
  EXPECT_EQ(0, as_site([] {
              for (unsigned long flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                         CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
                for (unsigned long high : {0ul, 1ul << 32}) {
                  long child = ::syscall(SYS_clone, high | flag | SIGCHLD, 0, 0, 0, 0);
                  if (child == 0) ::_exit(0);
                  MUST(1, child < 0 && errno == EPERM);
                }
              }
              MUST(2, failing(SYS_clone3, nullptr, 0) == ENOSYS);
              return 0;
            }));
}

TEST(SiteFilter, ForbidsTypingIntoATerminal) {
  EXPECT_EQ(0, as_site([] {
              int master = -1, slave = -1;
              MUST(1, ::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
              MUST(2, failing(SYS_ioctl, slave, TIOCSTI, "x") == EPERM);
              MUST(3, failing(SYS_ioctl, slave, TIOCSTI | 1ul << 32, "x") == EPERM);
              MUST(4, failing(SYS_ioctl, slave, TIOCLINUX, "x") == EPERM);
              winsize size{};
              MUST(5, ::ioctl(slave, TIOCGWINSZ, &size) == 0);
              return 0;
            }));
}

// The first names another project; the second lets new files of a directory belong to none.
TEST(SiteFilter, ForbidsLeavingTheDisksShare) {
  EXPECT_EQ(
      0, as_site([] {
        const sys::Fd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        MUST(1, directory.valid());
        fsxattr project{};
        MUST(2, failing(SYS_ioctl, directory.get(), FS_IOC_FSSETXATTR, &project) == EPERM);
        // Without the filter: EFAULT or ENOTTY, by file system.
        MUST(3, failing(SYS_ioctl, directory.get(), FS_IOC_SETFLAGS, nullptr) == EPERM);
        MUST(4, failing(SYS_ioctl, directory.get(), FS_IOC_SETFLAGS | 1ul << 32, nullptr) == EPERM);
        return 0;
      }));
}

int socket_error(int domain, int type, int protocol) {
  sys::Fd fd(::socket(domain, type, protocol));
  return fd.valid() ? 0 : errno;
}

TEST(SiteFilter, AllowsOrdinarySocketsOnly) {
  EXPECT_EQ(0, as_site([] {
              for (int domain : {AF_UNIX, AF_INET}) {
                MUST(1, socket_error(domain, SOCK_STREAM | SOCK_CLOEXEC, 0) == 0);
                MUST(2, socket_error(domain, SOCK_DGRAM | SOCK_NONBLOCK, 0) == 0);
              }
              int v6 = socket_error(AF_INET6, SOCK_STREAM, 0);
              MUST(3, v6 == 0 || v6 == EAFNOSUPPORT);
              MUST(4, socket_error(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) == 0);
              MUST(5, socket_error(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG) == EAFNOSUPPORT);
              MUST(6, socket_error(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) == EAFNOSUPPORT);
              MUST(7, socket_error(AF_INET, SOCK_RAW, 1) == EPERM);
              MUST(8, socket_error(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 58) == EPERM);
              for (int domain = 0; domain < 64; ++domain) {
                bool allowed = domain == AF_UNIX || domain == AF_INET || domain == AF_INET6 ||
                               domain == AF_NETLINK;
                MUST(9, allowed || socket_error(domain, SOCK_DGRAM, 0) == EAFNOSUPPORT);
              }
              MUST(10, failing(SYS_socket, AF_PACKET | 1l << 32, SOCK_DGRAM, 0) == EAFNOSUPPORT);
              MUST(11, failing(SYS_socket, AF_ALG | 1l << 32, SOCK_SEQPACKET, 0) == EAFNOSUPPORT);
              int pair[2];
              MUST(12, ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
              return 0;
            }));
}

TEST(SiteFilter, AnswersEnosysForCallsOfALaterKernel) {
  EXPECT_EQ(0, as_site([] {
              // cachestat, futex_wait, lsm_get_self_attr, mseal: Linux 6.5 and later have them.
              for (int call : {451, 455, 459, 462, 600}) {
                MUST(1, failing(call, -1, -1, -1, -1, -1, -1) == ENOSYS);
              }
              return 0;
            }));
}

TEST(SiteFilter, RefusesPersonalitiesThatWeakenTheProcess) {
  EXPECT_EQ(0, as_site([] {
              MUST(1, ::personality(0xffffffff) >= 0);
              MUST(2, ::personality(ADDR_NO_RANDOMIZE) < 0);
              MUST(3, ::personality(READ_IMPLIES_EXEC) < 0);
              MUST(4, ::personality(0) >= 0);
              return 0;
            }));
}

#if defined(__x86_64__)
TEST(SiteFilter, EndsAProcessThatMakesA32BitCall) {
  EXPECT_EQ(-SIGSYS, as_site([] {
    long result = 20;  // getpid of i386
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return 1;
  }));
}
TEST(SiteFilter, EndsAProcessThatMakesAnX32Call) {
  EXPECT_EQ(-SIGSYS, as_site([] {
    ::syscall(0x40000000 | SYS_getpid);
    return 1;
  }));
}
#endif

TEST(SiteFilter, LetsProgramsNamesAndThreadsWork) {
  EXPECT_EQ(0, as_site([] {
              MUST(1, ::system("test \"$(echo a | tr a b)\" = b && mkfifo /tmp/bh-$$ && "
                               "mv /tmp/bh-$$ /tmp/bh-$$.2 && rm /tmp/bh-$$.2") == 0);
              addrinfo* found = nullptr;
              MUST(2, ::getaddrinfo("localhost", "80", nullptr, &found) == 0);
              ::freeaddrinfo(found);
              std::atomic<int> ran = 0;
              std::thread([&] { ran = 1; }).join();
              MUST(3, ran == 1);
              MUST(4, ::memfd_create("m", MFD_CLOEXEC) >= 0);
              MUST(5, ::getuid() != 0 || ::setuid(65534) == 0);
              return 0;
            }));
}

TEST(SiteFilter, NamesEveryCallThatThisLibseccompKnows) {
  for (const CallList& list : site_rules().calls) {
    std::string_view names = list.names;
    while (!names.empty()) {
      size_t end = std::min(names.find(' '), names.size());
      std::string name(names.substr(0, end));
      names.remove_prefix(std::min(end + 1, names.size()));
      if (name.empty()) continue;
      bool known = seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR;
      EXPECT_TRUE(known || younger_call(name) > 0) << name;
    }
  }
  EXPECT_TRUE(site_may_call("execve"));
  EXPECT_FALSE(site_may_call("ptrace"));
}

TEST(SiteFilter, HoldsForThreadsThatRunAlready) {
  auto filter = Filter::for_site();
  ASSERT_TRUE(filter);
  EXPECT_EQ(0, in_child([&] {
              std::atomic<int> go = 0, seen = 0;
              std::thread other([&] {
                while (go == 0) std::this_thread::yield();
                seen = failing(SYS_keyctl, 0, -3, 0, 0, 0);
              });
              MUST(1, install(*filter, Threads::kAll));
              go = 1;
              other.join();
              MUST(2, seen == EPERM);
              return 0;
            }));
}

TEST(SiteFilter, NeedsNoNewPrivileges) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to become somebody";
  auto filter = Filter::for_site();
  ASSERT_TRUE(filter);
  ::fflush(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) ::_exit(::setuid(65534) == 0 && !install(*filter) ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(0, status);
}

template <class Body>
int as_front(Body body) {
  ::fflush(nullptr);
  return in_child([&] {
    auto filter = Filter::for_front();  // names this very process
    MUST(98, filter);
    MUST(99, install(*filter));
    return body();
  });
}

TEST(FrontFilter, LetsNothingBeOpenedOrSignalled) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' runtime needs more";
  EXPECT_EQ(0, as_front([] {
              MUST(1, ::open("/dev/null", O_RDONLY) < 0 && errno == EPERM);
              MUST(2, failing(SYS_openat2, AT_FDCWD, "/", nullptr, 0) == EPERM);
              MUST(3, ::kill(::getppid(), 0) < 0 && errno == EPERM);
              MUST(4, ::kill(::getpid(), 0) < 0 && errno == EPERM);
              MUST(5, failing(SYS_tgkill, ::getppid(), ::getppid(), 0) == EPERM);
              MUST(6, failing(SYS_tgkill, ::getpid(), ::gettid(), 0) == 0);
              MUST(7, failing(SYS_clone, SIGCHLD, 0, 0, 0, 0) == EPERM);
              MUST(8, socket_error(AF_UNIX, SOCK_STREAM, 0) == EPERM);
              MUST(9, socket_error(AF_INET, SOCK_DGRAM, 0) == EPERM);
              MUST(10, socket_error(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) == 0);
              std::atomic<int> ran = 0;
              std::thread([&] { ran = 1; }).join();
              MUST(11, ran == 1);
              return 0;
            }));
}

TEST(FrontFilter, EndsAProcessThatStartsAnother) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' runtime needs more";
  EXPECT_EQ(-SIGSYS, as_front([] { return ::execl("/bin/true", "true", nullptr); }));
  EXPECT_EQ(-SIGSYS, as_front([] { return failing(SYS_ptrace, 0, 0, 0, 0); }));
  EXPECT_EQ(-SIGABRT, as_front([]() -> int { ::abort(); }));
}

TEST(OpenerFilter, OpensFilesAndNothingElse) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' runtime needs more";
  EXPECT_EQ(0, in_child([] {
              auto filter = Filter::for_opener();
              MUST(1, filter && install(*filter));
              sys::Fd null(::open("/dev/null", O_RDONLY));
              MUST(2, null.valid());
              MUST(3, socket_error(AF_INET, SOCK_STREAM, 0) == EPERM);
              MUST(4, failing(SYS_clone, SIGCHLD, 0, 0, 0, 0) == EPERM);
              MUST(5, failing(SYS_execve, "/bin/true", nullptr, nullptr) == EPERM);
              MUST(6, ::kill(::getppid(), 0) < 0 && errno == EPERM);
              return 0;
            }));
}

uint64_t capability_set(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::stoull(line.substr(line.find('\t')), nullptr, 16);
  }
  return ~0ull;
}

TEST(Capabilities, AreAllGone) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to have any";
  EXPECT_EQ(0, in_child([] {
              MUST(1, bound_capabilities());
              MUST(2, ::setresuid(65534, 65534, 65534) == 0);
              MUST(3, drop_capabilities());
              for (const char* set : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"}) {
                MUST(4, capability_set(set) == 0);
              }
              MUST(5, ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0);
              return 0;
            }));
}

TEST(Capabilities, OfRootAreGoneToo) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(0, in_child([] {
              MUST(1, bound_capabilities());
              MUST(2, drop_capabilities());
              MUST(5, ::setuid(65534) < 0 && errno == EPERM);
              MUST(6, capability_set("CapBnd:") == 0);
              return 0;
            }));
}

TEST(Keyring, OfTheSessionIsANewOne) {
  EXPECT_EQ(0, in_child([] {
              long before = ::syscall(SYS_keyctl, 0, -3, 1);  // KEYCTL_GET_KEYRING_ID, session
              if (before < 0 && errno == ENOSYS) return 0;
              MUST(1, new_session_keyring());
              long after = ::syscall(SYS_keyctl, 0, -3, 1);
              MUST(2, after > 0 && after != before);
              return 0;
            }));
}

}  // namespace
}  // namespace bulkhead::sandbox
