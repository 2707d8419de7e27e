#include "exec/command.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sys/files.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace bulkhead::exec {
namespace {

constexpr const char* kPath = "/usr/local/bin:/usr/bin:/bin";
constexpr const char* kShell = "/bin/sh";
constexpr const char* kLanguage = "C.UTF-8";
constexpr sys::FdRef kError(2);

void set(std::vector<std::string>* env, std::string_view name, std::string_view value) {
  const std::string key = std::string(name) + "=";
  auto at = std::find_if(env->begin(), env->end(),
                         [&](const std::string& entry) { return entry.starts_with(key); });
  std::string entry = key + std::string(value);
  if (at == env->end()) {
    env->push_back(std::move(entry));
  } else {
    *at = std::move(entry);
  }
}

// Accounts of sites often must not log in; programs that start $SHELL still need one.
std::string usable_shell(const std::string& shell) {
  const bool refuses = shell.empty() || shell.ends_with("/nologin") || shell.ends_with("/false");
  return refuses || ::access(shell.c_str(), X_OK) != 0 ? kShell : shell;
}

[[noreturn]] void give_up(const std::string& text, int error, int code) {
  sys::write_all(kError, "bulkhead exec: " + text + ": " + std::strerror(error) + "\n");
  ::_exit(code);
}

// Descriptors 0, 1 and 2 of the command; they came by message, so none of them is below 3.
void take_standard_descriptors(const std::vector<sys::Fd>& fds) {
  for (int i = 0; i < 3; ++i) ::dup2(fds[static_cast<size_t>(i)].get(), i);
}

void enter_directory(const Order& order, const Account& account) {
  if (!order.directory.empty()) {
    if (::chdir(order.directory.c_str()) == 0) return;
    give_up("cannot start in \"" + order.directory + "\"", errno, kExitOwnFailure);
  }
  if (!order.hint.empty() && ::chdir(order.hint.c_str()) == 0) return;
  if (!account.home.empty() && ::chdir(account.home.c_str()) == 0) return;
  if (::chdir("/") != 0) give_up("cannot start in \"/\"", errno, kExitOwnFailure);
}

void run_program(sys::FdRef program, char* const* argv, char* const* envp) {
  ::syscall(SYS_execveat, program.get(), "", argv, envp, AT_EMPTY_PATH);
  if (errno != EPERM && errno != ENOSYS) return;
  ::execve(("/proc/self/fd/" + std::to_string(program.get())).c_str(), argv, envp);
}

}  // namespace

Account own_account() {
  Account account;
  if (const passwd* entry = ::getpwuid(::geteuid())) {
    account = {entry->pw_name, entry->pw_dir, entry->pw_shell};
  }
  if (const char* user = std::getenv("USER")) account.name = user;
  if (const char* home = std::getenv("HOME")) account.home = home;
  account.shell = usable_shell(account.shell);
  return account;
}

std::vector<std::string> environment_of(const Order& order, const Account& account,
                                        const Variables& of_pool) {
  std::vector<std::string> env;
  set(&env, "PATH", kPath);
  set(&env, "LANG", order.language.empty() ? kLanguage : order.language);
  if (!order.terminal_type.empty()) set(&env, "TERM", order.terminal_type);
  set(&env, "SHELL", account.shell);
  for (const auto& [name, value] : of_pool) set(&env, name, value);
  if (!account.name.empty()) {
    set(&env, "USER", account.name);
    set(&env, "LOGNAME", account.name);
  }
  if (!account.home.empty()) set(&env, "HOME", account.home);
  for (const std::string& entry : order.env) {
    const size_t equals = entry.find('=');
    set(&env, std::string_view(entry).substr(0, equals),
        std::string_view(entry).substr(equals + 1));
  }
  return env;
}

void become(Command command, pid_t pool, const Account& account, const Variables& of_pool) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != pool) ::_exit(kExitOwnFailure);  // it died before we could ask
  ::setsid();
  take_standard_descriptors(command.fds);
  if (command.has_terminal && ::ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) {
    give_up("no terminal for the command", errno, kExitOwnFailure);
  }
  std::vector<sys::FdRef> keep;
  if (command.has_program) keep.push_back(command.fds[3]);
  sys::close_descriptors_from(3, keep);
  sys::reset_signals();
  ::umask(022);
  enter_directory(command.order, account);

  std::vector<std::string> env = environment_of(command.order, account, of_pool);
  std::vector<char*> argv, envp;
  for (std::string& word : command.order.argv) argv.push_back(word.data());
  for (std::string& entry : env) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  ::environ = envp.data();
  if (command.has_program) {
    run_program(command.fds[3], argv.data(), envp.data());
  } else {
    ::execvp(argv[0], argv.data());
  }
  const bool missing = errno == ENOENT || errno == ENOTDIR;
  give_up("cannot run \"" + command.order.argv[0] + "\"", errno,
          missing ? kExitNotFound : kExitCannotRun);
}

}  // namespace bulkhead::exec
