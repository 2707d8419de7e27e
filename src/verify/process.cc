#include "verify/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::verify {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kLineMax = 8 << 20;  // a listing of /proc/net/unix, escaped

std::vector<char*> pointers(std::vector<std::string>* words) {
  std::vector<char*> out;
  for (std::string& word : *words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void become_child(const Process::How& how, int in, int out) {
  ::setpgid(0, 0);  // Ctrl-C is verify's to handle
  ::dup2(in, 0);
  ::dup2(out, 1);
  if (!how.output.empty()) ::dup2(out, 2);
  if (how.pass.valid()) ::fcntl(how.pass.get(), F_SETFD, 0);
  for (int s = 1; s < 32; ++s) ::signal(s, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(how.directory.c_str()) != 0) ::_exit(126);
  if (how.user != nullptr && !sys::become(*how.user)) ::_exit(125);
  if (how.run) {
    // Without exec nothing closes the pipes' other ends, ours among them: no end of input would
    // come.
    sys::close_descriptors_from(3, {how.pass});
    ::_exit(how.run());
  }
  std::vector<std::string> argv = how.argv;
  std::vector<std::string> env = how.env;
  env.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  env.emplace_back("LANG=C.UTF-8");
  ::execve(argv[0].c_str(), pointers(&argv).data(), pointers(&env).data());
  ::_exit(errno == ENOENT ? 127 : 126);
}

}  // namespace

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    status_ = std::exchange(other.status_, -1);
    in_ = std::move(other.in_);
    out_ = std::move(other.out_);
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

Result<Process> Process::start(const How& how) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return fail_errno("pipe failed");
  sys::Fd in_read(in[0]), in_write(in[1]);
  if (how.output.empty()) {
    if (::pipe2(out, O_CLOEXEC) != 0) return fail_errno("pipe failed");
  } else {
    out[0] = -1;
    out[1] = ::open(how.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out[1] < 0) return fail_errno("cannot open " + how.output);
  }
  sys::Fd out_read(out[0]), out_write(out[1]);
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork failed");
  if (pid == 0) become_child(how, in[0], out[1]);
  ::setpgid(pid, pid);
  Process process;
  process.pid_ = pid;
  process.in_ = std::move(in_write);
  process.out_ = std::move(out_read);
  return process;
}

void Process::end(std::chrono::milliseconds patience) {
  in_.reset();
  if (pid_ < 0) return;
  auto until = Clock::now() + patience;
  while (poll_exit() < 0 && Clock::now() < until) ::usleep(5000);
  if (status_ < 0) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  out_.reset();
  pid_ = -1;
}

int Process::poll_exit() {
  if (status_ >= 0 || pid_ < 0) return status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return -1;
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return status_;
}

bool Process::signal(int number) { return pid_ > 0 && ::kill(pid_, number) == 0; }

bool Process::send(std::string_view text) { return in_.valid() && sys::write_all(in_, text); }

std::optional<std::string> Process::receive(std::chrono::milliseconds patience) {
  auto until = Clock::now() + patience;
  for (;;) {
    if (size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0 || buffer_.size() > kLineMax || !out_.valid()) return {};
    pollfd p{out_.get(), POLLIN, 0};
    if (::poll(&p, 1, static_cast<int>(left)) <= 0) continue;
    char bytes[65536];
    ssize_t n = ::read(out_.get(), bytes, sizeof bytes);
    if (n <= 0) return {};
    buffer_.append(bytes, static_cast<size_t>(n));
  }
}

Status as_user(const sys::Identity& user, const std::function<Status()>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe failed");
  sys::Fd reader(ends[0]), writer(ends[1]);
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork failed");
  if (pid == 0) {
    Status done = sys::become(user);
    if (done) done = work();
    if (!done)
      sys::write_all(writer, std::to_string(done.error().errno_value) + " " + done.error().text);
    ::_exit(done ? 0 : 1);
  }
  writer.reset();
  std::string text;
  char bytes[1024];
  for (ssize_t n; (n = ::read(reader.get(), bytes, sizeof bytes)) > 0;) {
    text.append(bytes, static_cast<size_t>(n));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  size_t space = text.find(' ');
  if (space == std::string::npos) return fail("a helper running as " + user.name + " ended");
  return fail_errno(text.substr(space + 1), std::atoi(text.c_str()));
}

unsigned long long start_time(pid_t pid) {
  auto text = sys::read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return 0;
  size_t at = text->rfind(')');
  // The name may hold anything; field 3 follows its last parenthesis.
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text->find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoull(text->c_str() + at, nullptr, 10);
}

}  // namespace bulkhead::verify
