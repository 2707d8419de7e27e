// Signals: reload, reopen, stop; in nginx's words, in php-fpm's words, or both.
//
// Runs in: master.  Input: signals of root or of the user we run as.
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "master/log_files.h"
#include "master/master.h"
#include "master/site_policies.h"
#include "sys/files.h"
#include "sys/notify.h"
#include "sys/sockets.h"

namespace bulkhead::master {

void Master::on_signals() {
  while (auto signal = signals_->next()) on_signal(*signal);
}

void Master::log_signal(const sys::Signal& signal, std::string_view effect) {
  if (!speaks_nginx()) return;
  std::string text = "signal " + std::to_string(signal.number) + " (" +
                     sys::signal_name(signal.number) + ") received";
  if (signal.sender != 0) text += " from " + std::to_string(signal.sender);
  log_.nginx(LogLevel::kNotice, text.append(effect));
}

void Master::on_signal(const sys::Signal& signal) {
  bool fpm = options_.kind == Kind::kFpm;
  switch (signal.number) {
    case SIGCHLD:
      reaper_.collect();
      break;
    case SIGTERM:
    case SIGINT:
      log_signal(signal, ", exiting");
      if (fpm) log_.fpm(FpmLevel::kNotice, "Terminating ...");
      begin_stop(Stop::kFast);
      break;
    case SIGQUIT:
      log_signal(signal, ", shutting down");
      if (fpm) log_.fpm(FpmLevel::kNotice, "Finishing ...");
      begin_stop(Stop::kGraceful);
      break;
    case SIGUSR1:
      log_signal(signal, ", reopening logs");
      reopen();
      break;
    case SIGHUP:
      if (fpm) break;  // php-fpm has no meaning for it
      log_signal(signal, ", reconfiguring");
      no_accept_ = false;
      if (new_binary_.pid > 0) {  // takes back what it had given away, with what it knows
        if (!front_running()) (void)renew_front();
        break;
      }
      log_.nginx(LogLevel::kNotice, "reconfiguring");
      reload();
      break;
    case SIGUSR2:
      if (fpm) {
        log_.fpm(FpmLevel::kNotice, "Reloading in progress ...");
        log_.fpm(FpmLevel::kNotice, "reloading: execvp(\"php-fpm\", {\"php-fpm\"})");
        reload();
      } else {
        change_binary(signal);
      }
      break;
    case SIGWINCH:
      stop_accepting(signal);
      break;
    default:
      log_signal(signal, ", ignoring");
      break;
  }
}

void Master::reload() {
  if (state_ == State::kStarting) reload_when_started_ = true;
  if (state_ != State::kServing) return;
  sys::notify_service_manager("RELOADING=1");
  log_.forget_error();
  if (take_configuration()) {
    put_in_force();
    log_.person("configuration reloaded");
  } else {
    ++refused_;
    refusal_ = log_.first_error();
    log_.person("reload failed; the old configuration keeps serving");
  }
  sys::notify_service_manager("READY=1");
}

bool Master::take_configuration() {
  auto loaded = load(options_);
  if (!loaded) {
    report_load_error(loaded.error());
    return false;
  }
  report_warnings(*loaded);
  ids_.apply(&loaded->snapshot);
  std::vector<std::string> problems;
  auto files = reopen_log_files(*loaded->model, *now_.model, log_files_, &problems);
  if (!files) {
    log_.nginx(LogLevel::kEmerg, files.error().describe());
    return false;
  }
  if (!prepare_state(&*loaded) || !listeners_.open(*loaded, options_.kind, false)) return false;
  now_ = std::move(*loaded);
  use_logs(now_, std::move(*files));
  for (const std::string& text : problems) log_.nginx(LogLevel::kEmerg, text);
  return true;
}

// What now_ says, to everybody concerned.
void Master::put_in_force() {
  for (const config::FpmMessage& m : sandbox_notes(now_)) log_.fpm(m);
  keep_what_serving_needs(&now_);
  if (speaks_nginx()) {
    log_.nginx(LogLevel::kNotice, "using the \"epoll\" event method");
    log_.nginx(LogLevel::kNotice, "start worker processes");
  }
  open_shares();
  bool renewed = renew_front();
  if (options_.kind == Kind::kFpm) {
    // Who reloads php-fpm expects php.ini to be read again and every script to be fresh.
    configure_when_ready_ = renew_zygotes(Renew::kAll);
    if (!configure_when_ready_) sites_->configure(now_);
    // php-fpm says it to standard error, which in the background is the log, and to the log.
    for (int round = wants_daemon() ? 0 : 1; round < 2; ++round) {
      for (const std::string& address : now_.pool_addresses) {
        std::string path = sys::unix_path(address);
        log_.fpm(FpmLevel::kNotice,
                 "using inherited socket fd=" + std::to_string(listeners_.number_of(address)) +
                     ", \"" + (path.empty() ? sys::address_text(address) : path) + "\"");
      }
    }
  } else {
    sites_->configure(now_);
    renew_zygotes(Renew::kChanged);
  }
  if (!renewed) configure_front();
  if (options_.kind == Kind::kFpm) {
    log_.fpm(FpmLevel::kNotice, "fpm is running, pid " + std::to_string(::getpid()));
    log_.fpm(FpmLevel::kNotice, "ready to handle connections");
    if (now_.fpm->global.systemd_interval_ms > 0) {
      log_.fpm(FpmLevel::kNotice, "systemd monitor interval set to " +
                                      std::to_string(now_.fpm->global.systemd_interval_ms) + "ms");
    }
  } else {
    sites_->start_eager();
  }
}

void Master::reopen() {
  if (state_ == State::kStopping) return;
  if (speaks_nginx()) log_.nginx(LogLevel::kNotice, "reopening logs");
  std::vector<std::string> problems;
  auto files = reopen_log_files(*now_.model, *now_.model, log_files_, &problems);
  if (!files) {
    log_.nginx(LogLevel::kEmerg, files.error().describe());
    return;
  }
  use_logs(now_, std::move(*files));
  for (const std::string& text : problems) log_.nginx(LogLevel::kEmerg, text);
  std::vector<sys::FdRef> fds(log_files_.begin(), log_files_.end());
  if (front_running()) send_chunks(ipc::Op::kLogFiles, fds);
  sites_->reopen_logs();
  if (speaks_fpm()) log_.fpm(FpmLevel::kNotice, "error log file re-opened");
}

void Master::begin_stop(Stop how) {
  bool again = state_ == State::kStopping;
  if (again && stop_how_ == Stop::kFast) return;
  state_ = State::kStopping;
  stop_how_ = how;
  done_ = false;
  if (!again) {
    // systemd goes on with the process that took over.
    sys::notify_service_manager(new_binary_.pid > 0 ? "MAINPID=" + std::to_string(new_binary_.pid)
                                                    : "STOPPING=1");
  }
  listeners_.close_all(!another_serves());
  Millis patience(0);
  if (how == Stop::kGraceful) {
    patience = now_.model->worker_shutdown_timeout;
    if (options_.kind == Kind::kFpm) {
      patience = Millis(now_.fpm->global.process_control_timeout_s * 1000);
    }
    if (front_running()) quit_front(*front_);
    quit_old_fronts();
  } else {
    patience = kStopPatience;
    if (front_running()) front_->hang_up();
    end_old_fronts(0);
    sites_->stop_all(false, kStopPatience);
  }
  deadline_ = std::make_unique<loop::Timer>([this] {
    // Out of patience: graceful becomes fast, fast becomes certain.
    if (stop_how_ == Stop::kGraceful) return begin_stop(Stop::kFast);
    if (front_ != nullptr) front_->signal(SIGKILL);
    end_old_fronts(SIGKILL);
    signal_zygotes(SIGKILL);
    sites_->kill_all();
  });
  if (patience > Millis(0)) deadline_->arm(*loop_, patience);
  maybe_stopped();
}

void Master::maybe_stopped() {
  if (state_ != State::kStopping || done_) return;
  if (front_running() || !old_fronts_.empty()) return;
  if (!sites_->all_ended()) {
    // Nobody asks them any more: they finish what runs.
    if (stop_how_ == Stop::kGraceful) sites_->stop_all(true, Millis(0));
    return;
  }
  if (zygotes_running()) {
    signal_zygotes(SIGTERM);
    if (deadline_ != nullptr && !deadline_->armed()) {
      stop_how_ = Stop::kFast;
      deadline_->arm(*loop_, kStopPatience);
    }
    return;
  }
  finish();
}

void Master::finish() {
  done_ = true;
  control_.reset();
  exec_door_.reset();
  if (pid_written_) sys::remove_file(pid_path_);
  if (options_.kind == Kind::kFpm) {
    if (exit_code_ == 0) log_.fpm(FpmLevel::kNotice, "exiting, bye-bye!");
  } else {
    log_.nginx(LogLevel::kNotice, "exit");
    if (exit_code_ == 0) log_.person("stopped");
  }
  if (exit_code_ != 0) daemon_.report_started(exit_code_, false);
}

// To systemd's watchdog, twice as often as it asks for, for as long as this loop turns.
void Master::show_life() {
  const auto patience = std::chrono::duration_cast<loop::Millis>(sys::watchdog_patience());
  if (patience.count() == 0) return;
  sys::notify_service_manager("WATCHDOG=1");
  if (!heartbeat_) heartbeat_ = std::make_unique<loop::Timer>([this] { show_life(); });
  heartbeat_->arm(*loop_, patience / 2);
}

}  // namespace bulkhead::master
