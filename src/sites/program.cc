#include "sites/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sys/files.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace bulkhead::sites {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

sys::FdRef kept_lock;

struct Pipe {
  sys::Fd read, write;
  static Result<Pipe> make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return fail_errno("pipe() failed");
    Pipe pipe;
    pipe.read.reset(ends[0]);
    pipe.write.reset(ends[1]);
    return pipe;
  }
};

std::string found_program(const std::string& name) {
  for (const char* directory :
       {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    const std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

[[noreturn]] void become_program(const Program& what, const std::string& path, int in, int out,
                                 int errors) {
  ::setpgid(0, 0);
  sys::reset_signals();
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(errors, 2);
  if (what.user == nullptr && kept_lock.valid()) {
    (void)::fcntl(kept_lock.get(), F_SETFD, 0);
    sys::close_descriptors_from(3, {kept_lock});
  } else {
    sys::close_descriptors_from(3);
  }
  if (::chdir(what.directory.c_str()) != 0) ::_exit(126);
  if (what.user != nullptr && !sys::become(*what.user)) ::_exit(125);
  // After the change of user, which clears it.  Ref: prctl(2), PR_SET_PDEATHSIG.
  if (what.user != nullptr) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(what.user != nullptr ? 077 : 022);
  std::vector<char*> argv{const_cast<char*>(path.c_str())};  // sshd insists on its whole path
  for (size_t i = 1; i < what.argv.size(); ++i) {
    argv.push_back(const_cast<char*>(what.argv[i].c_str()));
  }
  argv.push_back(nullptr);
  char lang[] = "LC_ALL=C.UTF-8", home[] = "HOME=/";
  char* env[] = {const_cast<char*>(kPath), lang, home, nullptr};
  ::execve(path.c_str(), argv.data(), env);
  ::_exit(127);
}

// Text as something to read from: a file without a name.
Result<sys::Fd> readable(const std::string& text) {
  sys::Fd memory(::memfd_create("input", MFD_CLOEXEC));
  if (!memory.valid() || !sys::write_all(memory, text) || ::lseek(memory.get(), 0, SEEK_SET) < 0) {
    return fail_errno("cannot hold the input of a program");
  }
  return memory;
}

void gather(sys::FdRef output, sys::FdRef errors, Ran* ran) {
  pollfd polled[2] = {{output.get(), POLLIN, 0}, {errors.get(), POLLIN, 0}};
  std::string all_errors;
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) break;
    for (int i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t n = ::read(polled[i].fd, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) polled[i].fd = -1;
      std::string& into = i == 0 ? ran->output : all_errors;
      if (n > 0 && into.size() < kOutputMax) into.append(buffer, static_cast<size_t>(n));
    }
  }
  while (!all_errors.empty() && all_errors.back() == '\n') all_errors.pop_back();
  ran->errors = all_errors.substr(all_errors.rfind('\n') + 1);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

void keep_in_programs(sys::FdRef lock) { kept_lock = lock; }

Result<Ran> run_program(const Program& program) {
  const std::string path = found_program(program.argv.at(0));
  if (path.empty()) {
    return fail_errno("the program " + program.argv[0] + " is not installed", ENOENT);
  }
  sys::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  sys::Fd text;
  if (!program.input.empty()) text = TRY(readable(program.input));
  Pipe output = TRY(Pipe::make()), errors = TRY(Pipe::make());
  const int in = text.valid() ? text.get() : program.in.valid() ? program.in.get() : null.get();
  const int out = program.out.valid() ? program.out.get() : output.write.get();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork() failed");
  if (pid == 0) become_program(program, path, in, out, errors.write.get());
  output.write.reset();
  errors.write.reset();
  Ran ran;
  gather(output.read, errors.read, &ran);
  ran.status = wait_for(pid);
  return ran;
}

Status must_run(const Program& program) {
  const Ran ran = TRY(run_program(program));
  if (ran.status == 0) return {};
  return fail(program.argv[0] + " failed (exit status " + std::to_string(ran.status) + ")" +
              (ran.errors.empty() ? "" : ": " + ran.errors));
}

Result<sys::Identity> site_user(const std::string& name) {
  sys::Identity who = TRY(sys::find_identity(name, ""));
  if (who.uid == 0 || who.gid == 0) return fail("user " + name + " is root: no site may be it");
  return who;
}

Status as_user(const sys::Identity& user, const std::function<Status()>& work) {
  Pipe report = TRY(Pipe::make());
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork() failed");
  if (pid == 0) {
    Status done = sys::become(user);
    if (done) done = work();
    if (!done) {
      sys::write_all(report.write,
                     std::to_string(done.error().errno_value) + " " + done.error().text);
    }
    ::_exit(done ? 0 : 1);
  }
  report.write.reset();
  std::string text;
  char buffer[4096];
  ssize_t n;
  while ((n = ::read(report.read.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(n));
  }
  if (wait_for(pid) == 0) return {};
  const size_t space = text.find(' ');
  if (space == std::string::npos)
    return fail("a helper of user " + user.name + " ended unexpectedly");
  return fail_errno(text.substr(space + 1), std::atoi(text.c_str()));
}

}  // namespace bulkhead::sites
