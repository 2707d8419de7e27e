// USR2 and WINCH as in nginx: a new program takes the listening sockets over while the old one
// still serves; whichever of the two is told to quit leaves, and no connection is refused
// meanwhile.
//
// Runs in: master.  Ref: nginx.org "Controlling nginx", "Upgrading Executable on the Fly"; nginx
// 1.22.1, observed.
#include <unistd.h>

#include <cstdlib>

#include "master/master.h"
#include "sys/files.h"
#include "sys/notify.h"
#include "sys/process.h"

namespace bulkhead::master {
namespace {
constexpr const char* kOldPid = ".oldbin";
constexpr int kFirstPassed = 3;  // sys::Spawn::fds
}  // namespace

// The sockets are not only ours: the server we came from still runs, or the one that comes after
// us.
bool Master::another_serves() const {
  return new_binary_.pid > 0 || (inherited_ && ::getppid() == parent_);
}

void Master::change_binary(const sys::Signal& signal) {
  // nginx takes a living parent for the old program, also where it is a shell or a supervisor.
  bool has_parent = ::getppid() == parent_ && (inherited_ || options_.kind == Kind::kNginx);
  if (has_parent || new_binary_.pid > 0) {
    log_signal(signal, ", ignoring");
    log_.nginx(LogLevel::kCrit,
               "the changing binary signal is ignored: you should shutdown or terminate before "
               "either old or new binary's process");
    return;
  }
  if (state_ != State::kServing) return log_signal(signal, ", ignoring");
  log_signal(signal, ", changing binary");
  log_.nginx(LogLevel::kNotice, "changing binary");
  if (auto started = start_new_binary(); !started) {
    log_.nginx(LogLevel::kAlert, started.error().describe());
    log_.person("the new program could not be started; this one keeps serving");
  }
}

Status Master::start_new_binary() {
  sys::Spawn spawn;
  spawn.program = TRY(find_program("bulkhead-master"));
  spawn.argv = to_arguments(options_);
  spawn.argv.insert(spawn.argv.begin(), "bulkhead-master");
  spawn.env = child_environment(Environment::kWhole);
  if (const char* notify = std::getenv("NOTIFY_SOCKET")) {
    spawn.env.push_back(std::string("NOTIFY_SOCKET=") + notify);
    // Without a pid: whoever is the main process then.
    if (const auto patience = sys::watchdog_patience(); patience.count() > 0) {
      spawn.env.push_back("WATCHDOG_USEC=" + std::to_string(patience.count()));
    }
  }
  spawn.fds = listeners_.all();
  std::string numbers;
  for (size_t i = 0; i < spawn.fds.size(); ++i) {
    numbers += std::to_string(kFirstPassed + static_cast<int>(i)) + ";";
  }
  spawn.env.push_back("NGINX=" + numbers);
  std::string usual = pid_path_;
  TRY_STATUS(move_pid_file(usual + kOldPid));
  auto child = sys::spawn(spawn);
  if (!child) {
    TRY_STATUS(move_pid_file(usual));
    return std::unexpected(child.error());
  }
  new_binary_ = std::move(*child);
  reaper_.watch(new_binary_.pid, [this](const sys::Ended& ended) { on_new_binary_ended(ended); });
  log_.nginx(LogLevel::kNotice, "start new binary process " + std::to_string(new_binary_.pid));
  return {};
}

// The pid file, and with it the socket that `status` asks: the usual names are the newest server's.
Status Master::move_pid_file(const std::string& to) {
  if (!pid_written_) return {};
  TRY_STATUS(sys::rename_file(pid_path_, to));
  control_.reset();
  exec_door_.reset();
  pid_path_ = to;
  open_control();
  return {};
}

void Master::on_new_binary_ended(const sys::Ended& ended) {
  pid_t pid = std::exchange(new_binary_, sys::Child()).pid;
  log_.nginx(LogLevel::kNotice, "signal 17 (SIGCHLD) received from " + std::to_string(pid));
  bool crashed = ended.how == sys::Ended::How::kSignalled;
  log_.nginx(crashed ? LogLevel::kAlert : LogLevel::kNotice,
             "new binary process " + std::to_string(pid) + " " + describe(ended, false));
  log_.person("the new program ended; this one keeps serving");
  std::string usual = pid_path_.substr(0, pid_path_.rfind(kOldPid));
  if (auto moved = move_pid_file(usual); !moved) {
    log_.nginx(LogLevel::kAlert, moved.error().describe() + " after the new binary process exited");
  }
  if (state_ != State::kServing || !std::exchange(no_accept_, false)) return;
  if (!front_running()) (void)renew_front();
}

// nginx heeds it in the background only: in the foreground a terminal sends it when its size
// changes.
void Master::stop_accepting(const sys::Signal& signal) {
  bool heeded = options_.kind == Kind::kNginx
                    ? daemonized_
                    : options_.kind == Kind::kServe && new_binary_.pid > 0 && signal.sender != 0;
  if (!heeded || state_ != State::kServing) return log_signal(signal, "");
  log_signal(signal, ", stop accepting connections");
  no_accept_ = true;
  front_restart_.reset();
  front_ready_ = false;
  retire_front();
  quit_old_fronts();
}

}  // namespace bulkhead::master
