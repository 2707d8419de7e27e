#include "sandbox/seccomp_rules.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace bulkhead::sandbox {
namespace {

constexpr uint32_t kAllow = SCMP_ACT_ALLOW;
constexpr uint32_t kForbid = SCMP_ACT_ERRNO(EPERM), kUnknown = SCMP_ACT_ERRNO(ENOSYS);
constexpr uint32_t kNoFamily = SCMP_ACT_ERRNO(EAFNOSUPPORT);

// What every process of ours needs to live: memory, clocks, its own descriptors, threads, the end.
constexpr std::string_view kLiving =
    "mmap mprotect munmap brk mremap madvise mincore msync membarrier rseq "
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek "
    "close close_range dup dup2 dup3 fcntl fstat fsync fdatasync ftruncate "
    "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait "
    "epoll_pwait2 eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime "
    "recvmsg sendmsg recvfrom sendto recvmmsg sendmmsg shutdown getsockname getpeername "
    "getsockopt setsockopt futex futex_waitv get_robust_list set_robust_list set_tid_address "
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait "
    "sigaltstack restart_syscall clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday "
    "time times getrandom getpid gettid getppid getuid geteuid getgid getegid getgroups uname "
    "sysinfo getcpu sched_yield sched_getaffinity getrlimit getrusage exit exit_group";

constexpr std::string_view kFiles =
    "open openat openat2 creat stat lstat newfstatat statx access faccessat faccessat2 getdents "
    "getdents64 readlink readlinkat getcwd chdir fchdir statfs fstatfs";

constexpr std::string_view kChangingFiles =
    "rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat "
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask truncate mknod mknodat "
    "utime utimes futimesat utimensat fallocate fadvise64 readahead flock sync syncfs "
    "sync_file_range copy_file_range splice tee vmsplice sendfile "
    "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr "
    "removexattr lremovexattr fremovexattr inotify_init inotify_init1 inotify_add_watch "
    "inotify_rm_watch memfd_create pipe pipe2 ioctl";

constexpr std::string_view kProcesses =
    "clone fork vfork execve execveat wait4 waitid kill tkill tgkill rt_sigqueueinfo "
    "rt_tgsigqueueinfo pause alarm getitimer setitimer timer_create timer_settime timer_gettime "
    "timer_getoverrun timer_delete signalfd signalfd4 pidfd_open pidfd_send_signal getpgid getpgrp "
    "setpgid getsid setsid getresuid getresgid setuid setgid setreuid setregid setresuid setresgid "
    "setgroups setfsuid setfsgid capget capset prctl arch_prctl set_thread_area get_thread_area "
    "prlimit64 setrlimit getpriority setpriority ioprio_get ioprio_set sched_getparam "
    "sched_setparam sched_getscheduler sched_setscheduler sched_getattr sched_setattr "
    "sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity "
    "mlock mlock2 munlock mlockall munlockall pkey_alloc pkey_free pkey_mprotect seccomp "
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self";

constexpr std::string_view kSockets =
    "socket socketpair connect bind listen accept accept4 shmget shmat shmctl shmdt semget semop "
    "semtimedop semctl msgget msgsnd msgrcv msgctl";

// Other processes, the kernel's insides and the machine.  By group: tracing and other processes'
// memory; keys; programs inside the kernel; namespaces and mounts; files by handle; what only an
// administrator does; io_uring, which does other calls' work past this table.
constexpr std::string_view kForbidden =
    "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise process_mrelease "
    "add_key request_key keyctl "
    "bpf perf_event_open userfaultfd fanotify_init fanotify_mark lookup_dcookie "
    "unshare setns mount umount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig "
    "fsmount fspick mount_setattr statmount listmount open_tree_attr "
    "open_by_handle_at name_to_handle_at "
    "init_module finit_module delete_module create_module kexec_load kexec_file_load reboot swapon "
    "swapoff acct quotactl quotactl_fd settimeofday clock_settime clock_adjtime adjtimex stime "
    "sethostname setdomainname syslog iopl ioperm modify_ldt vhangup nfsservctl uselib ustat sysfs "
    "_sysctl move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node "
    "io_uring_setup io_uring_enter io_uring_register";

constexpr CallList
    kSiteCalls[] =
        {
            {kLiving, kAllow},    {kFiles, kAllow},   {kChangingFiles, kAllow},
            {kProcesses, kAllow}, {kSockets, kAllow}, {kForbidden, kForbid},
            {"clone3", kUnknown},  // its flags lie in memory, where a filter cannot see them
};

constexpr uint32_t kOld32 = 0x0020008;  // UNAME26 and PER_LINUX32
// What docker's default profile lets through as well: Linux, a 32-bit machine's name, an old
// version's name, and asking.  Left out: no address randomisation, executable data.
constexpr ArgRule kPersonality[] = {
    {"personality", kAllow, {ArgTest::kIs, 0, 0}},
    {"personality", kAllow, {ArgTest::kIs, 0, PER_LINUX32}},
    {"personality", kAllow, {ArgTest::kIs, 0, UNAME26}},
    {"personality", kAllow, {ArgTest::kIs, 0, kOld32}},
    {"personality", kAllow, {ArgTest::kIs, 0, 0xffffffff}},
};

constexpr ArgRule refuse_namespace(uint32_t flag) {
  return {"clone", kForbid, {ArgTest::kBits, 0, flag}};
}
constexpr ArgRule refuse_ioctl(uint32_t request) {
  return {"ioctl", kForbid, {ArgTest::kIs, 1, request}};
}
constexpr ArgRule refuse_family(uint32_t family) {
  return {"socket", kNoFamily, {ArgTest::kIs, 0, family}};
}
constexpr uint32_t kSocketTypes = 0xf;  // the rest are SOCK_CLOEXEC and SOCK_NONBLOCK
constexpr ArgRule refuse_type(uint32_t family, uint32_t type) {
  return {"socket", kForbid, {ArgTest::kIs, 0, family}, {ArgTest::kIs, 1, type, kSocketTypes}};
}

// clang-format off
constexpr ArgRule kSiteRefused[] = {
    refuse_namespace(CLONE_NEWNS), refuse_namespace(CLONE_NEWCGROUP),
    refuse_namespace(CLONE_NEWUTS), refuse_namespace(CLONE_NEWIPC),
    refuse_namespace(CLONE_NEWUSER), refuse_namespace(CLONE_NEWPID),
    refuse_namespace(CLONE_NEWNET),
    // Characters put into a terminal's input would be typed by whoever runs `bulkhead exec`; line
    // disciplines are old code in the kernel.
    refuse_ioctl(TIOCSTI), refuse_ioctl(TIOCLINUX), refuse_ioctl(TIOCSETD),
    // A file that changes its project leaves the disk share of the site (sandbox/quota.h);
    // so does what is made in a directory without FS_PROJINHERIT_FL (ioctl_iflags(2)).
    refuse_ioctl(FS_IOC_FSSETXATTR), refuse_ioctl(FS_IOC_SETFLAGS),
    // Left are AF_UNIX 1, AF_INET 2, AF_INET6 10 and of AF_NETLINK 16 what getaddrinfo() asks.
    refuse_family(0), refuse_family(3), refuse_family(4), refuse_family(5), refuse_family(6),
    refuse_family(7), refuse_family(8), refuse_family(9), refuse_family(11), refuse_family(12),
    refuse_family(13), refuse_family(14), refuse_family(15),
    {"socket", kNoFamily, {ArgTest::kAbove, 0, AF_NETLINK}},
    {"socket", kNoFamily, {ArgTest::kIs, 0, AF_NETLINK}, {ArgTest::kIsNot, 2, NETLINK_ROUTE}},
    refuse_type(AF_INET, SOCK_RAW), refuse_type(AF_INET, SOCK_PACKET), refuse_type(AF_INET6, SOCK_RAW),
};
// clang-format on

constexpr RuleSet kSite{kUnknown, kSiteCalls, kPersonality, kSiteRefused};

// The opener's program is started already; it has its channels.
constexpr CallList kOpenerCalls[] = {
    {kLiving, kAllow},
    {kFiles, kAllow},
    {"umask fchmod unlink unlinkat fadvise64 readahead memfd_create connect", kAllow},
    {"clone3", kUnknown},
};
constexpr ArgRule kOpenerAllowed[] = {
    {"prctl", kAllow, {ArgTest::kIs, 0, PR_SET_NAME}},
    {"prlimit64", kAllow, {ArgTest::kIs, 0, 0}, {ArgTest::kIs, 2, 0}},
    // For front, to FastCGI servers that are not ours.
    {"socket", kAllow, {ArgTest::kIs, 0, AF_UNIX}, {ArgTest::kIs, 1, SOCK_STREAM, kSocketTypes}},
};
constexpr RuleSet kOpener{kForbid, kOpenerCalls, kOpenerAllowed, {}};

// Attempts that only somebody who has taken front over makes: the process ends, master tells.
constexpr std::string_view kHostile =
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev pidfd_getfd bpf "
    "init_module finit_module kexec_load mount pivot_root chroot unshare setns keyctl "
    "open_by_handle_at io_uring_setup userfaultfd perf_event_open";
constexpr CallList kFrontCalls[] = {
    {kLiving, kAllow},
    {"accept4 connect sendfile fstatfs", kAllow},
    {kHostile, SCMP_ACT_KILL_PROCESS},
    {"clone3", kUnknown},
};
constexpr uint32_t kThread = CLONE_VM | CLONE_THREAD;
constexpr ArgRule kFrontAllowed[] = {
    {"clone", kAllow, {ArgTest::kBits, 0, kThread}},
    // FastCGI servers that are not ours, over TCP.
    {"socket", kAllow, {ArgTest::kIs, 0, AF_INET}, {ArgTest::kIs, 1, SOCK_STREAM, kSocketTypes}},
    {"socket", kAllow, {ArgTest::kIs, 0, AF_INET6}, {ArgTest::kIs, 1, SOCK_STREAM, kSocketTypes}},
    {"prctl", kAllow, {ArgTest::kIs, 0, PR_SET_NAME}},
    {"prlimit64", kAllow, {ArgTest::kIs, 0, 0}, {ArgTest::kIs, 2, 0}},  // only asking: getrlimit()
    {"ioctl", kAllow, {ArgTest::kIs, 1, FIONREAD}},
    {"newfstatat", kAllow, {ArgTest::kBits, 3, AT_EMPTY_PATH}},  // fstat(), in the C library's way
};
constexpr RuleSet kFront{kForbid, kFrontCalls, kFrontAllowed, {}};

// Names and numbers.  Ref: include/uapi/asm-generic/unistd.h of Linux 6.18.
constexpr struct {
  std::string_view name;
  int number;
} kYounger[] = {
    {"fchmodat2", 452},
    {"statmount", 457},
    {"listmount", 458},
    {"open_tree_attr", 467},
};

}  // namespace

const RuleSet& site_rules() { return kSite; }
const RuleSet& front_rules() { return kFront; }
const RuleSet& opener_rules() { return kOpener; }

int younger_call(std::string_view name) {
  for (const auto& call : kYounger) {
    if (call.name == name) return call.number;
  }
  return -1;
}

}  // namespace bulkhead::sandbox
