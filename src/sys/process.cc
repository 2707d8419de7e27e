#include "sys/process.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "sys/files.h"
#include "sys/fork_into.h"
#include "sys/signals.h"

namespace bulkhead::sys {
namespace {

constexpr int kFirstPassed = 3;
constexpr int kParkedFrom = 512;  // above every number a child is given

// Puts the passed descriptors at 3, 4, ...; first out of the way, so that none overwrites another.
bool place_descriptors(const Spawn& what, int program, int report) {
  std::vector<int> parked;
  for (FdRef fd : what.fds) {
    int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kParkedFrom);
    if (copy < 0) return false;
    parked.push_back(copy);
  }
  if (what.standard_error.valid() && ::dup2(what.standard_error.get(), 2) < 0) return false;
  int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return false;
  if (null != 0) ::dup2(null, 0);
  ::dup2(null, 1);
  if (null > 2) ::close(null);
  int number = kFirstPassed;
  for (int fd : parked) {
    if (::dup2(fd, number++) < 0) return false;
  }
  // Whatever else is open, CLOEXEC or not, stays behind.
  close_descriptors_from(number, {FdRef(program), FdRef(report)});
  return true;
}

[[noreturn]] void run_child(const Spawn& what, int program, int report) {
  auto give_up = [&](const Error& error) {
    std::string line(reinterpret_cast<const char*>(&error.errno_value), sizeof error.errno_value);
    write_all(FdRef(report), line + error.text);
    ::_exit(127);
  };
  reset_signals();
  int high = ::fcntl(report, F_DUPFD_CLOEXEC, kParkedFrom + static_cast<int>(what.fds.size()));
  if (high < 0) give_up(Error{"dup() failed", errno});
  report = high;
  program = ::fcntl(program, F_DUPFD_CLOEXEC, report + 1);
  if (program < 0) give_up(Error{"dup() failed", errno});
  if (!place_descriptors(what, program, report)) give_up(Error{"dup2() failed", errno});
  if (what.in_child) {
    if (auto done = what.in_child(); !done) give_up(done.error());
  }
  std::vector<char*> argv, env;
  for (const auto& a : what.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (const auto& e : what.env) env.push_back(const_cast<char*>(e.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  // By descriptor: the directory of our programs may be closed to the user we have become.
  ::execveat(program, "", argv.data(), env.data(), AT_EMPTY_PATH);
  give_up(Error{"execve() \"" + what.program + "\" failed", errno});
  ::_exit(127);
}

}  // namespace

Result<Child> spawn(const Spawn& what) {
  Fd program(::open(what.program.c_str(), O_PATH | O_CLOEXEC));
  if (!program.valid()) return fail_errno("open() \"" + what.program + "\" failed");
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) < 0) return fail_errno("pipe() failed");
  Fd readable(pipe_fds[0]), writable(pipe_fds[1]);
  Child child;
  pid_t pid = what.group.valid() ? fork_into(what.group) : -1;
  child.in_group = pid >= 0;
  if (pid < 0) pid = ::fork();
  if (pid < 0) return fail_errno("fork() failed");
  if (pid == 0) run_child(what, program.get(), writable.get());
  writable.reset();
  child.pid = pid;
  auto pidfd = open_pidfd(pid);
  std::string report;
  char buffer[1024];
  ssize_t n;
  while ((n = ::read(readable.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) report.append(buffer, static_cast<size_t>(n));
  }
  if (!report.empty() || !pidfd) {
    if (!pidfd) ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    if (!pidfd) return std::unexpected(pidfd.error());
    int error = 0;
    if (report.size() < sizeof error) return fail("could not start \"" + what.program + "\"");
    std::memcpy(&error, report.data(), sizeof error);
    return fail_errno(report.substr(sizeof error), error);
  }
  child.pidfd = std::move(*pidfd);
  return child;
}

Result<Fd> open_pidfd(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return fail_errno("pidfd_open(" + std::to_string(pid) + ") failed");
  return fd;
}

pid_t pid_of(FdRef pidfd) {
  auto info = read_file("/proc/self/fdinfo/" + std::to_string(pidfd.get()), 4096);
  if (!info) return -1;
  size_t at = info->find("\nPid:");
  return at == std::string::npos ? -1 : std::atoi(info->c_str() + at + 5);
}

Status send_signal(FdRef pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) < 0) {
    return fail_errno("pidfd_send_signal() failed");
  }
  return {};
}

Status send_signal(pid_t pid, int signal) {
  if (::kill(pid, signal) < 0) {
    return fail_errno("kill(" + std::to_string(pid) + ", " + std::to_string(signal) + ") failed");
  }
  return {};
}

std::optional<Ended> reap(FdRef pidfd) {
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.get()), &info,
                      WEXITED | WNOHANG);
  } while (result < 0 && errno == EINTR);
  // Somebody else's child (a pool of the zygote): its parent learns how it ended, we only that.
  if (result < 0) return Ended{};
  if (info.si_pid == 0) return {};
  Ended ended;
  ended.how = info.si_code == CLD_EXITED ? Ended::How::kExited : Ended::How::kSignalled;
  ended.core = info.si_code == CLD_DUMPED;
  ended.value = info.si_status;
  return ended;
}

Status become(const Identity& who) {
  if (!is_root()) {
    if (::getuid() == who.uid && ::getgid() == who.gid) return {};
    return fail_errno("cannot become user '" + who.name + "' without root", EPERM);
  }
  if (::setgroups(who.groups.size(), who.groups.data()) < 0) {
    return fail_errno("setgroups() for user '" + who.name + "' failed");
  }
  if (::setresgid(who.gid, who.gid, who.gid) < 0) {
    return fail_errno("setgid(" + std::to_string(who.gid) + ") failed");
  }
  if (::setresuid(who.uid, who.uid, who.uid) < 0) {
    return fail_errno("setuid(" + std::to_string(who.uid) + ") failed");
  }
  BH_CHECK(who.uid == 0 || (::setuid(0) < 0 && ::getuid() == who.uid));
  return {};
}

bool is_root() { return ::geteuid() == 0; }

std::string program_directory() {
  char path[PATH_MAX];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return ".";
  std::string_view text(path, static_cast<size_t>(n));
  return std::string(text.substr(0, text.rfind('/')));
}

void close_descriptors_from(int first, const std::vector<FdRef>& keep) {
  std::vector<int> kept;
  for (FdRef fd : keep) {
    if (fd.get() >= first) kept.push_back(fd.get());
  }
  std::sort(kept.begin(), kept.end());
  unsigned from = static_cast<unsigned>(first);
  for (int fd : kept) {
    unsigned number = static_cast<unsigned>(fd);
    if (number > from) ::syscall(SYS_close_range, from, number - 1, 0);
    from = number + 1;
  }
  ::syscall(SYS_close_range, from, ~0u, 0);
}

}  // namespace bulkhead::sys
