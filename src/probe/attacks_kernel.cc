// Group D9 to D14: what the kernel and the machine offer to everybody.
//
// Runs in: bulkhead-probe, as the attacking site.  Ref: the man page of each call; Linux 6.1
// to 6.18. "Obtained" here means that the interface answered: an attack on the kernel could begin
// there.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

Finding opened(long result, const char* call) {
  if (result < 0) return refused(call);
  return obtained(std::string(call) + " succeeded");
}

// A program with the setuid bit that verify left in our own tree; it prints what only root reads.
Finding setuid_program(const Facts& f) {
  if (f["setuid_program"].empty()) return cannot("verify plants no setuid program on this server");
  int ends[2];
  if (::pipe(ends) != 0) return refused("pipe");
  pid_t pid = ::fork();
  if (pid < 0) return refused("fork");
  if (pid == 0) {
    ::dup2(ends[1], 1);
    ::execl(f["setuid_program"].c_str(), "bulkhead-probe", "read", f["root_only"].c_str(), nullptr);
    ::_exit(errno);
  }
  ::close(ends[1]);
  char bytes[512];
  ssize_t n = ::read(ends[0], bytes, sizeof bytes);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (n > 0) return obtained(std::string(bytes, static_cast<size_t>(n)));
  return refused("become root by a setuid program",
                 WIFEXITED(status) ? WEXITSTATUS(status) : EPERM);
}

Finding no_new_privs(const Facts&) {
  int set = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  if (set == 1) return refused("gain rights by execve (no_new_privs is set)", EPERM);
  return obtained("no_new_privs is not set: execve may still give more rights");
}

Finding user_namespace(const Facts&) {
  return opened(::unshare(CLONE_NEWUSER), "unshare(NEWUSER)");
}
Finding mount_tmpfs(const Facts&) {
  ::unshare(CLONE_NEWUSER | CLONE_NEWNS);
  return opened(::mount("none", "/tmp", "tmpfs", 0, nullptr), "mount");
}
Finding use_bpf(const Facts&) {
  bpf_attr attr{};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 8;
  attr.max_entries = 1;
  return opened(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr), "bpf");
}
Finding use_io_uring(const Facts&) {
  io_uring_params params{};
  return opened(::syscall(SYS_io_uring_setup, 4, &params), "io_uring_setup");
}
Finding use_userfaultfd(const Facts&) {
  constexpr int kUserModeOnly = 1;  // UFFD_USER_MODE_ONLY: allowed to everybody by default
  return opened(::syscall(SYS_userfaultfd, O_CLOEXEC | kUserModeOnly), "userfaultfd");
}
Finding use_perf(const Facts&) {
  perf_event_attr attr{};
  attr.type = PERF_TYPE_SOFTWARE;
  attr.size = sizeof attr;
  attr.config = PERF_COUNT_SW_TASK_CLOCK;
  attr.exclude_kernel = 1;
  attr.exclude_hv = 1;
  return opened(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "perf_event_open");
}
Finding use_keys(const Facts&) {
  return opened(::syscall(SYS_add_key, "user", "bhv-own", "x", 1, -1), "add_key");
}
Finding by_handle(const Facts& f) {
  struct {
    unsigned bytes = 128;
    int type = 0;
    char data[128];
  } handle;
  int mount_id = 0;
  // A handle of the site's own root names the file system; open_by_handle_at then skips all paths.
  if (::syscall(SYS_name_to_handle_at, AT_FDCWD, f["own_root"].c_str(), &handle, &mount_id, 0) !=
      0) {
    return refused("name_to_handle_at");
  }
  int root = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return opened(::syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY), "open_by_handle_at");
}

// Socket families that reach far into the kernel and that no web application needs.
Finding strange_sockets(const Facts&) {
  struct Family {
    int family, type;
    const char* name;
  };
  constexpr Family kFamilies[] = {{AF_PACKET, SOCK_DGRAM, "AF_PACKET"},
                                  {AF_INET, SOCK_RAW, "raw IP"},
                                  {38, SOCK_SEQPACKET, "AF_ALG"},
                                  {40, SOCK_STREAM, "AF_VSOCK"},
                                  {44, SOCK_RAW, "AF_XDP"},
                                  {30, SOCK_SEQPACKET, "AF_TIPC"},
                                  {29, SOCK_RAW, "AF_CAN"}};
  std::string open;
  Finding last;
  for (const Family& family : kFamilies) {
    int fd = ::socket(family.family, family.type, family.family == AF_INET ? 1 : 0);
    if (fd < 0) {
      // A family that the kernel does not have proves nothing about a filter.
      if (last.step.empty() || errno == EPERM || errno == EACCES) {
        last = refused(std::string("socket ") + family.name);
      }
      continue;
    }
    ::close(fd);
    open += std::string(open.empty() ? "" : ", ") + family.name;
  }
  if (open.empty()) return last;
  return obtained("sockets of " + open);
}

Finding cgroup_write(const Facts&) {
  Finding last;
  for (const char* path : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs",
                           "/sys/fs/cgroup/pids/cgroup.procs"}) {
    int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
      ::close(fd);
      return obtained(std::string("may write ") + path);
    }
    if (last.step.empty() || errno != ENOENT) last = refused(std::string("open ") + path);
  }
  for (const char* path : {"/sys/fs/cgroup/bhv", "/sys/fs/cgroup/unified/bhv"}) {
    if (::mkdir(path, 0755) == 0) {
      ::rmdir(path);
      return obtained(std::string("may make ") + path);
    }
  }
  return last;
}

Finding kernel_log(const Facts&) {
  char bytes[512];
  int n = ::klogctl(3 /* SYSLOG_ACTION_READ_ALL */, bytes, sizeof bytes);
  if (n >= 0) return obtained("the kernel's log");
  int error = errno;
  int fd = ::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    return obtained("/dev/kmsg");
  }
  return refused("syslog", error);
}

// Device nodes beyond those that every container has.
Finding devices(const Facts&) {
  Finding names = list_directory("/dev");
  if (!names.done) return names;
  std::string open;
  for (size_t at = 0; at < names.got.size();) {
    size_t end = names.got.find('\n', at);
    std::string name = names.got.substr(at, end - at);
    at = end + 1;
    bool usual = false;
    for (std::string_view u : {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}) {
      usual |= name == u;
    }
    struct stat facts {};
    if (usual || ::lstat(("/dev/" + name).c_str(), &facts) != 0) continue;
    if (!S_ISCHR(facts.st_mode) && !S_ISBLK(facts.st_mode)) continue;
    open += " " + name;
  }
  if (open.empty()) return refused("find a device beyond the usual seven", ENOENT);
  return obtained("sees the machine's devices:" + open.substr(0, 200));
}

Finding kernel_addresses(const Facts&) {
  Finding text = read_path("/proc/kallsyms", 4096);
  if (!text.done) return text;
  if (text.got.starts_with("0000000000000000")) {
    return refused("find an address in /proc/kallsyms", EPERM);
  }
  return obtained("addresses of the kernel: " + text.got.substr(0, 60));
}

Finding hardware(const Facts&) {
  Finding last;
  for (const char* path : {"/sys/class/net", "/sys/block", "/boot", "/sys/kernel/debug"}) {
    Finding names = list_directory(path);
    if (names.done && names.got.size() > 6) return obtained(std::string("the listing of ") + path);
    if (!names.done || last.step.empty()) last = names.done ? refused(path, ENOENT) : names;
  }
  return last;
}

// The neighbour's (and root's) settings below /proc/sys.
Finding write_sysctl(const Facts&) {
  int fd = ::open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return refused("open /proc/sys/kernel/core_pattern");
  ::close(fd);
  return obtained("may write core_pattern");
}

constexpr Row kRows[] = {
    {"D9", setuid_program},    {"D9b", no_new_privs},     {"D12", user_namespace},
    {"D12b", mount_tmpfs},     {"D12c", use_bpf},         {"D12d", use_io_uring},
    {"D12e", use_userfaultfd}, {"D12f", use_perf},        {"D12g", use_keys},
    {"D12h", by_handle},       {"D12i", strange_sockets}, {"D13", cgroup_write},
    {"D14", kernel_log},       {"D14b", devices},         {"D14c", kernel_addresses},
    {"D14d", hardware},        {"D14e", write_sysctl},
};

}  // namespace

std::span<const Row> kernel_attacks() { return kRows; }

}  // namespace bulkhead::probe
