// From a command line to a server that serves: configuration, sockets, logs, children, pid file.
//
// Runs in: master.
#include "master/master.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "exec/client.h"
#include "master/fpm_cli.h"
#include "master/log_files.h"
#include "master/site_policies.h"
#include "sandbox/state_dir.h"
#include "sys/files.h"
#include "sys/notify.h"
#include "sys/rlimit.h"
#include "sys/sockets.h"

namespace bulkhead::master {

Master::Master(Options options) : options_(std::move(options)) {}
Master::~Master() = default;

int Master::run() {
  parent_ = ::getppid();
  inherited_ = options_.kind != Kind::kFpm && std::getenv("NGINX") != nullptr;
  log_.set_person(options_.kind == Kind::kServe);
  if (!prepare() || !go_to_background() || !start_children()) return exit_code_;
  while (!done_) loop_->run_once(Millis(-1));
  return exit_code_;
}

void Master::start_fail(const std::string& text, int code) {
  if (options_.kind == Kind::kFpm) {
    if (!text.empty()) log_.fpm(FpmLevel::kError, text);
    log_.fpm(FpmLevel::kError, "FPM initialization failed");
  } else if (!text.empty()) {
    log_.nginx(LogLevel::kEmerg, text);
  }
  exit_code_ = code;
  done_ = true;
}

void Master::report_load_error(const LoadError& error) {
  if (error.nginx) log_.nginx(error.nginx->level, error.nginx->describe());
  for (const config::FpmMessage& m : error.fpm) log_.fpm(m);
}

void Master::report_warnings(const Loaded& loaded) {
  for (const config::ConfigError& w : loaded.warnings) log_.nginx(w.level, w.describe());
  if (loaded.fpm) {
    for (const config::FpmMessage& m : loaded.fpm->messages) {
      // warn_without_root() says it once for all pools.
      bool of_root = !sys::is_root() && options_.kind == Kind::kServe &&
                     m.text.find("not running as root") != std::string::npos;
      if (!of_root) log_.fpm(m);
    }
    for (const config::FpmMessage& m : config::fpm_not_in_force(*loaded.fpm)) log_.fpm(m);
  }
  for (const config::Listen& listen : loaded.model->listens) {
    if (!is_served(listen)) {
      log_.nginx(LogLevel::kWarn, "\"listen " + listen.text + (listen.quic ? " quic" : " ssl") +
                                      "\" is skipped: this build does not serve it yet");
    }
  }
}

bool Master::wants_daemon() const {
  if (options_.kind == Kind::kServe) return false;
  if (options_.daemonize) return *options_.daemonize;
  return options_.kind == Kind::kNginx ? now_.model->daemon : now_.fpm->global.daemonize;
}

bool Master::prepare() {
  int config_code = options_.kind == Kind::kFpm ? kExitConfig : 1;
  sys::Fd first = open_first_log(options_, &log_);
  state_is_given_ = !options_.state.empty();
  if (!state_is_given_) options_.state = sandbox::kDefaultState;
  auto loaded = load(options_);
  if (!loaded) {
    report_load_error(loaded.error());
    start_fail("", config_code);
    return false;
  }
  now_ = std::move(*loaded);
  ids_.apply(&now_.snapshot);
  report_warnings(now_);
  if (!prepare_state(&now_)) {
    start_fail("", config_code);
    return false;
  }
  std::vector<sys::Fd> files;
  if (!open_logs(now_, &files)) return false;
  use_logs(now_, std::move(files));
  for (const config::FpmMessage& m : sandbox_notes(now_)) log_.fpm(m);
  keep_what_serving_needs(&now_);
  if (auto raised = sys::raise_nofile(sys::nofile_limit().hard); !raised) {
    log_.nginx(LogLevel::kWarn, raised.error().describe());
  }
  listeners_.inherit();
  if (!listeners_.open(now_, options_.kind, true)) {
    start_fail("", options_.kind == Kind::kFpm && wants_daemon() ? kExitSoftware : config_code);
    return false;
  }
  listeners_.drop_unclaimed();
  warn_without_root();
  if (speaks_nginx()) {
    utsname os{};
    ::uname(&os);
    sys::NofileLimit files_max = sys::nofile_limit();
    log_.nginx(LogLevel::kNotice, "using the \"epoll\" event method");
    log_.nginx(LogLevel::kNotice,
               options_.kind == Kind::kNginx ? std::string(kNginxVersion) : "bulkhead/" BH_VERSION);
    log_.nginx(LogLevel::kNotice, std::string("OS: ") + os.sysname + " " + os.release);
    log_.nginx(LogLevel::kNotice, "getrlimit(RLIMIT_NOFILE): " + std::to_string(files_max.soft) +
                                      ":" + std::to_string(files_max.hard));
  }
  return true;
}

// Where the sites' private directories are.  Root has one, or does not serve pools; whoever is not
// root goes without unless one was asked for.
bool Master::prepare_state(Loaded* loaded) {
  if (!loaded->fpm) return true;
  auto done = sandbox::prepare_state_root(options_.state);
  if (done) return true;
  const bool needed = sys::is_root() || state_is_given_;
  const std::string text = done.error().describe();
  if (options_.kind == Kind::kFpm) {
    log_.fpm(needed ? FpmLevel::kError : FpmLevel::kWarning, text);
  } else {
    log_.nginx(needed ? LogLevel::kEmerg : LogLevel::kWarn, text);
  }
  if (needed) return false;
  options_.state.clear();
  for (sandbox::SitePolicy& policy : loaded->policies) policy.state = policy.state_root = "";
  return true;
}

// Looks for control groups once; says what they do not limit whenever a site has a new limit.
void Master::open_shares() {
  std::vector<config::PoolLimits> limits;
  // Of php-fpm's command line nobody expects a word about what its files do not ask for.
  auto tasks = options_.kind == Kind::kFpm ? Shares::Tasks::kDefault : Shares::Tasks::kWanted;
  if (now_.fpm) {
    for (const config::PoolConfig& pool : now_.fpm->pools) {
      limits.push_back(config::read_limits(pool));
      if (!pool.limit_tasks.empty()) tasks = Shares::Tasks::kWanted;
    }
  }
  if (!shares_) {
    shares_ = std::make_unique<Shares>(*loop_, [this](const std::string& text) {
      if (speaks_nginx()) return log_.nginx(LogLevel::kWarn, text);
      log_.fpm(FpmLevel::kWarning, text);
    });
  }
  if (!limits.empty()) shares_->open(limits, tasks, options_.state);
}

void Master::warn_without_root() {
  if (sys::is_root()) return;
  std::string text = "not root: everything runs as user " + sys::user_name(::geteuid()) +
                     "; sites are not isolated from each other or from this user's files";
  if (options_.kind == Kind::kFpm) {
    log_.fpm(FpmLevel::kWarning, text);
  } else {
    log_.nginx(LogLevel::kWarn, text);
  }
}

bool Master::open_logs(const Loaded& loaded, std::vector<sys::Fd>* files) {
  auto opened = open_log_files(*loaded.model);
  if (!opened) {
    start_fail(opened.error().describe(), 1);
    return false;
  }
  *files = std::move(*opened);
  return true;
}

void Master::use_logs(const Loaded& loaded, std::vector<sys::Fd> files) {
  std::vector<Log::NginxSink> sinks;
  for (const config::ErrorLog& target : loaded.model->error_logs) {
    if (target.file < files.size()) sinks.push_back({files[target.file], target.level});
  }
  if (options_.kind != Kind::kFpm) log_.set_nginx(std::move(sinks));
  log_files_ = std::move(files);
  if (!loaded.fpm) return;
  const config::FpmGlobal& global = loaded.fpm->global;
  Log::FpmSink sink;
  sink.level = global.log_level;
  sink.limit = static_cast<size_t>(std::max(global.log_limit, 1));
  // php-fpm in the foreground of a terminal talks to the person in front of it.
  bool foreground =
      options_.kind == Kind::kFpm && !wants_daemon() && (options_.force_stderr || ::isatty(2) == 1);
  if (foreground || global.error_log.empty()) {
    // stays on standard error
  } else if (global.error_log == "syslog") {
    sink.syslog = true;
  } else if (auto fd = sys::open_log(global.error_log, 0600)) {
    sink.fd = std::move(*fd);
  } else {
    log_.fpm(FpmLevel::kError,
             "failed to open error_log (" + global.error_log + "): " + fd.error().describe());
  }
  log_.set_fpm(std::move(sink), global.syslog_ident, global.syslog_facility);
}

bool Master::go_to_background() {
  if (!wants_daemon()) return true;
  daemonized_ = true;
  if (inherited_) {  // from a server that is in the background already
    choose_child_stderr();
    return true;
  }
  parent_ = ::getpid();
  auto daemon = sys::Daemon::start();
  if (!daemon) {
    start_fail(daemon.error().describe(), 1);
    return false;
  }
  daemon_ = std::move(*daemon);
  choose_child_stderr();
  return true;
}

// The terminal (or the pipe) of whoever started us must not stay open in our children: what they
// say goes to the error log.
void Master::choose_child_stderr() {
  std::string path = "/dev/null";
  if (options_.kind == Kind::kFpm) {
    const std::string& log = now_.fpm->global.error_log;
    if (!log.empty() && log != "syslog") path = log;
  } else if (!now_.model->error_logs.empty()) {
    const std::string& log = now_.model->log_files[now_.model->error_logs.front().file].path;
    if (log == "stderr") return;  // asked for
    if (log.starts_with('/')) path = log;
  }
  if (auto fd = sys::open_log(path, 0600)) child_stderr_ = std::move(*fd);
}

void Master::set_title() {
  std::string title =
      options_.kind == Kind::kFpm     ? "php-fpm: master process (" + now_.fpm->path + ")"
      : options_.kind == Kind::kNginx ? "nginx: master process " + options_.command_line
                                      : "bulkhead: master process " + options_.command_line;
  sys::set_process_title(title);
}

bool Master::start_children() {
  set_title();
  started_at_ = Moment::now().seconds;
  // Pools outlive their zygote; whatever loses its parent comes to us.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto loop = loop::EventLoop::create();
  auto signals = sys::SignalSource::create(
      {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD});
  if (!loop || !signals) {
    start_fail(loop ? signals.error().describe() : loop.error().describe(), 1);
    return false;
  }
  loop_ = std::move(*loop);
  signals_ = std::move(*signals);
  (void)loop_->add(signals_->fd(), EPOLLIN, &signal_handler_);
  open_shares();
  sites_ = std::make_unique<Sites>(Sites::Wiring{
      *loop_, reaper_, log_, options_.kind,
      [this](uint32_t front, ipc::Op op, std::string_view payload,
             std::span<const sys::FdRef> fds) { return to_front(front, op, payload, fds); },
      [this](const std::string& version, ipc::Op op, std::string_view payload,
             std::span<const sys::FdRef> fds) { return to_zygote(version, op, payload, fds); },
      [this] {
        if (exec_door_ != nullptr) exec_door_->look_again();
        maybe_started();
        maybe_stopped();
      },
      *shares_});
  sites_->configure(now_);
  // php-fpm's pid file appears as soon as its sockets listen; nginx's once requests are answered.
  if (options_.kind == Kind::kFpm) write_pid();
  if (done_) return false;
  Status started = start_front();
  if (started && now_.fpm) {
    for (const config::PoolConfig& pool : now_.fpm->pools) {
      if (started && !zygotes_.contains(pool.php_version)) started = start_zygote(pool.php_version);
    }
  }
  if (!started) {
    start_fail(started.error().describe(), options_.kind == Kind::kFpm ? kExitSoftware : 1);
    if (front_ != nullptr) front_->signal(SIGKILL);
    signal_zygotes(SIGKILL);
    if (pid_written_) sys::remove_file(pid_path_);
    return false;
  }
  return true;
}

std::string Master::pid_path() const {
  if (options_.kind == Kind::kFpm) return now_.fpm->global.pid;
  return options_.pid.empty() ? now_.model->pid_path : options_.pid;
}

void Master::write_pid() {
  pid_path_ = pid_path();
  if (pid_path_.empty()) return;
  bool is_fpm = options_.kind == Kind::kFpm;
  std::string text = std::to_string(::getpid()) + (is_fpm ? "" : "\n");  // each as its original
  auto written = sys::write_file_atomically(pid_path_, text);
  if (!written) {
    // `serve` in the foreground works without one; init scripts of the originals do not.
    if (options_.kind == Kind::kServe) {
      log_.nginx(LogLevel::kWarn, written.error().describe());
    } else {
      int error = written.error().errno_value;
      start_fail(is_fpm ? "Unable to create the PID file (" + pid_path_ +
                              ").: " + std::strerror(error) + " (" + std::to_string(error) + ")"
                        : written.error().describe(),
                 is_fpm ? kExitConfig : 1);
      begin_stop(Stop::kFast);
    }
    return;
  }
  pid_written_ = true;
  open_control();
}

void Master::open_control() {
  auto control = ControlSocket::create(*loop_, control_path(pid_path_),
                                       [this](std::string_view question, sys::Fd connection) {
                                         answer(question, std::move(connection));
                                       });
  if (control) {
    control_ = std::move(*control);
  } else {
    log_.nginx(LogLevel::kWarn, "no status: " + control.error().describe());
  }
  auto door = ExecDoor::create({*loop_, log_, *sites_, now_}, exec::socket_path(pid_path_));
  if (door) {
    exec_door_ = std::move(*door);
  } else {
    log_.nginx(LogLevel::kWarn, "no bulkhead exec: " + door.error().describe());
  }
}

void Master::maybe_started() {
  if (state_ != State::kStarting || !front_ready_) return;
  for (const auto& [version, zygote] : zygotes_) {
    if (!zygote.ready) return;
  }
  sites_->start_eager();
  if (sites_->waiting_for_pools() != 0) return;
  state_ = State::kServing;
  done_ = false;
  if (!pid_written_) write_pid();
  if (state_ != State::kServing) return;
  announce_start();
}

void Master::announce_start() {
  log_.set_starting(false);
  if (options_.kind == Kind::kFpm) {
    log_.fpm(FpmLevel::kNotice, "fpm is running, pid " + std::to_string(::getpid()));
    log_.fpm(FpmLevel::kNotice, "ready to handle connections");
    if (now_.fpm->global.systemd_interval_ms > 0) {
      log_.fpm(FpmLevel::kNotice, "systemd monitor interval set to " +
                                      std::to_string(now_.fpm->global.systemd_interval_ms) + "ms");
    }
  }
  std::string where;
  for (const config::Listen& listen : now_.model->listens) {
    if (is_served(listen)) where += (where.empty() ? "" : ", ") + listen.text;
  }
  if (where.empty()) where = counted(now_.pool_addresses.size(), "pool socket");
  log_.person("serving " + counted(now_.model->servers.size(), "server") + " and " +
              counted(now_.fpm ? now_.fpm->pools.size() : 0, "pool") + " on " + where + " (pid " +
              std::to_string(::getpid()) + ")");
  sys::notify_service_manager("READY=1\nSTATUS=Ready to handle connections");
  show_life();
  bool uses_stderr = false;
  for (const config::LogFile& file : now_.model->log_files) {
    uses_stderr = uses_stderr || file.path == "stderr";
  }
  daemon_.report_started(0, options_.kind == Kind::kFpm || !uses_stderr);
  if (std::exchange(reload_when_started_, false)) loop_->defer([this] { reload(); });
}

}  // namespace bulkhead::master
