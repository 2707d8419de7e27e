// Groups C5 and D1 to D3: the neighbour's processes.
//
// Runs in: bulkhead-probe, as the attacking site.  Ref: ptrace(2), process_vm_readv(2),
// pidfd_getfd(2), proc(5); Linux 5.6 and later.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

// Calls `each` with the pid of every process that /proc shows, but our own.
Finding for_each_process(const std::function<Finding(const std::string&)>& each) {
  Finding names = list_directory("/proc");
  if (!names.done) return names;
  std::string all;
  Finding last;
  const std::string self = std::to_string(::getpid());
  for (size_t at = 0; at < names.got.size();) {
    size_t end = names.got.find('\n', at);
    std::string name = names.got.substr(at, end - at);
    at = end + 1;
    if (name[0] < '1' || name[0] > '9' || name == self) continue;
    Finding one = each(name);
    if (one.done) all += one.got + "\n";
    if (!one.done || last.step.empty()) last = one;
  }
  // Also by the number it has outside, which this view of processes may not know.
  if (!all.empty()) return obtained(all);
  if (last.step.empty()) last = refused("find the neighbour in /proc", ESRCH);
  return last;
}

Finding proc_file(const Facts& f, const std::string& leaf) {
  Finding all = for_each_process(
      [&](const std::string& pid) { return read_path("/proc/" + pid + "/" + leaf, 16384); });
  Finding direct = read_path("/proc/" + f["victim_pid"] + "/" + leaf, 16384);
  if (direct.done) return obtained(all.got + direct.got);
  if (all.done) return all.got.empty() ? direct : obtained(all.got);
  return direct;
}
Finding command_lines(const Facts& f) { return proc_file(f, "cmdline"); }
Finding environments(const Facts& f) { return proc_file(f, "environ"); }
Finding memory_maps(const Facts& f) { return proc_file(f, "maps"); }

Finding working_directory(const Facts& f) {
  char target[4096];
  Finding all = for_each_process([&](const std::string& pid) {
    ssize_t n = ::readlink(("/proc/" + pid + "/cwd").c_str(), target, sizeof target);
    if (n < 0) return refused("readlink /proc/" + pid + "/cwd");
    return obtained(std::string(target, static_cast<size_t>(n)));
  });
  ssize_t n = ::readlink(("/proc/" + f["victim_pid"] + "/cwd").c_str(), target, sizeof target);
  if (n >= 0) return obtained(all.got + std::string(target, static_cast<size_t>(n)));
  return all.done ? all : refused("readlink /proc/" + f["victim_pid"] + "/cwd");
}

// /proc/PID/mem of the server's own processes and of the neighbour, at the evidence's address.
Finding proc_mem(const Facts& f) {
  int fd = ::open(("/proc/" + f["victim_pid"] + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused("open /proc/" + f["victim_pid"] + "/mem");
  char bytes[256];
  ssize_t n = ::pread(fd, bytes, sizeof bytes, static_cast<off_t>(f.number("victim_address")));
  int error = errno;
  ::close(fd);
  if (n < 0) return refused("read /proc/" + f["victim_pid"] + "/mem", error);
  return obtained(std::string(bytes, static_cast<size_t>(n)));
}

Finding trace(const Facts& f) {
  auto pid = static_cast<pid_t>(f.number("victim_pid"));
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) return refused("ptrace");
  // Seized is enough to read: PTRACE_PEEKDATA needs it stopped.
  ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr);
  ::waitpid(pid, nullptr, __WALL);
  std::string got;
  for (int i = 0; i < 16; ++i) {
    errno = 0;
    long word = ::ptrace(PTRACE_PEEKDATA, pid, f.number("victim_address") + i * 8L, nullptr);
    if (errno != 0) break;
    got.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  return got.empty() ? refused("ptrace peek") : obtained(got);
}

Finding vm_read(const Facts& f) {
  char bytes[256];
  iovec local{bytes, sizeof bytes};
  iovec remote{reinterpret_cast<void*>(f.number("victim_address")), sizeof bytes};
  ssize_t n =
      ::process_vm_readv(static_cast<pid_t>(f.number("victim_pid")), &local, 1, &remote, 1, 0);
  if (n < 0) return refused("process_vm_readv");
  return obtained(std::string(bytes, static_cast<size_t>(n)));
}

// Whether tracing is possible at all: of a child of ours, which every other rule would allow.
Finding trace_own_child(const Facts&) {
  pid_t child = ::fork();
  if (child < 0) return refused("fork");
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  long done = ::ptrace(PTRACE_SEIZE, child, nullptr, nullptr);
  int error = errno;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (done != 0) return refused("ptrace of an own child", error);
  return obtained("ptrace(2) is open to the site");
}

Finding open_fds(const Facts& f) {
  const std::string dir = "/proc/" + f["victim_pid"] + "/fd";
  return read_path(dir + "/" + f["victim_fd"]);
}
Finding steal_fd(const Facts& f) {
  long pidfd = ::syscall(SYS_pidfd_open, f.number("victim_pid"), 0);
  if (pidfd < 0) return refused("pidfd_open");
  long fd = ::syscall(SYS_pidfd_getfd, pidfd, f.number("victim_fd"), 0);
  if (fd < 0) return refused("pidfd_getfd");
  char bytes[256];
  ssize_t n = ::pread(static_cast<int>(fd), bytes, sizeof bytes, 0);
  if (n < 0) return refused("read a stolen descriptor");
  return obtained(std::string(bytes, static_cast<size_t>(n)));
}

// SIGURG is ignored by everybody who does not ask for it: nobody but the evidence notices.
Finding signal_one(const Facts& f) {
  if (::kill(static_cast<pid_t>(f.number("victim_pid")), SIGURG) != 0) return refused("kill");
  return obtained("sent a signal to pid " + f["victim_pid"]);
}
Finding signal_all(const Facts&) {
  if (::kill(-1, SIGURG) != 0) return refused("kill(-1)");
  return obtained("sent a signal to every process within reach");
}
Finding signal_server(const Facts& f) {
  Finding last = cannot("no process of the server is known");
  const std::string& list = f["server_pids"];
  for (size_t at = 0; at < list.size();) {
    size_t end = std::min(list.find(' ', at), list.size());
    auto pid = static_cast<pid_t>(std::strtol(list.substr(at, end - at).c_str(), nullptr, 10));
    at = end + 1;
    if (::kill(pid, 0) == 0) return obtained("may signal pid " + std::to_string(pid));
    last = refused("kill " + std::to_string(pid));
  }
  return last;
}

// Descriptors that a program of the site was given beyond its three.
Finding inherited(const Facts&) {
  Finding names = list_directory("/proc/self/fd");
  if (!names.done) return names;
  std::string all;
  for (size_t at = 0; at < names.got.size();) {
    size_t end = names.got.find('\n', at);
    std::string name = names.got.substr(at, end - at);
    at = end + 1;
    if (name[0] < '0' || name[0] > '9' || std::atoi(name.c_str()) < 3) continue;
    char target[4096];
    ssize_t n = ::readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target);
    if (n <= 0) continue;
    std::string text(target, static_cast<size_t>(n));
    // Ours: the answer's pipe, the directory being listed, the program itself.
    if (text.starts_with("pipe:") || text.find("/fd") != std::string::npos) continue;
    if (text.find("bulkhead-probe") != std::string::npos || text == "/dev/null") continue;
    all += name + " -> " + text + "\n";
  }
  if (all.empty()) return refused("find a descriptor that is not its own", EBADF);
  return obtained(all);
}

constexpr Row kRows[] = {
    {"C5", open_fds},         {"C5b", steal_fd},    {"D1", command_lines},
    {"D1b", environments},    {"D1c", memory_maps}, {"D1d", working_directory},
    {"D1e", proc_mem},        {"D2", trace},        {"D2b", vm_read},
    {"D2c", trace_own_child}, {"D3", signal_one},   {"D3b", signal_all},
    {"D3c", signal_server},   {"D7", inherited},
};

}  // namespace

std::span<const Row> process_attacks() { return kRows; }

}  // namespace bulkhead::probe
