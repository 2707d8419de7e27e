// The zygotes, one per PHP version: started, listened to, started again, and replaced when PHP's
// settings have changed.
//
// Runs in: master.  Input: messages of zygotes, already checked by the permit table.
#include <signal.h>

#include <algorithm>

#include "master/fpm_cli.h"
#include "master/master.h"
#include "master/php_settings.h"
#include "master/site_requests.h"

namespace bulkhead::master {

Status Master::launch_php(const std::string& version, Php* php) {
  uint32_t number = next_php_++;
  php->number = number;
  php->process = std::make_unique<ChildProcess>(
      *loop_, reaper_,
      ChildProcess::Hooks{
          [this, version, number](ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
            on_zygote_message(version, number, op, payload, fds);
          },
          [this](pid_t pid, const std::string& what) {
            log_.nginx(LogLevel::kAlert,
                       "killed PHP process " + std::to_string(pid) + ": it " + what);
          },
          [this, version, number](pid_t pid, const sys::Ended& ended, Millis lived) {
            on_zygote_ended(version, number, pid, ended, lived);
          }});
  ChildProcess::Start start;
  start.program = TRY(find_php_program(version));
  php->settings = php_settings(start.program, options_.php_args);
  start.argv = {start.program.substr(start.program.rfind('/') + 1), "--zygote"};
  if (sys::is_root()) start.argv.push_back("--state=" + options_.state);
  start.argv.insert(start.argv.end(), options_.php_args.begin(), options_.php_args.end());
  start.environment = Environment::kWhole;
  start.role = ipc::Role::kZygote;
  start.blocking = true;
  start.standard_error = child_stderr_;
  return php->process->start(start);
}

Status Master::start_zygote(const std::string& version) {
  Zygote& zygote = zygotes_[version];
  zygote.ready = false;
  return launch_php(version, &zygote.current);
}

// The number of the process that was asked; 0: none could be.
uint32_t Master::to_zygote(const std::string& version, ipc::Op op, std::string_view payload,
                           std::span<const sys::FdRef> fds) {
  auto at = zygotes_.find(version);
  if (at == zygotes_.end() || !at->second.current.process->running()) {
    if (at != zygotes_.end() && at->second.restart != nullptr && at->second.restart->armed()) {
      return 0;  // it is failing: its own timer brings it back
    }
    if (auto started = start_zygote(version); !started) {
      log_.fpm(FpmLevel::kError, started.error().describe());
      return 0;
    }
    at = zygotes_.find(version);
  }
  const Php& php = at->second.current;
  return php.process->send(op, payload, fds) ? php.number : 0;
}

// Starts a fresh PHP for each version whose php.ini or conf.d changed since it was started; the one
// that runs stays until the new one is ready.  False: nothing changed.
bool Master::renew_zygotes(Renew which) {
  bool any = false;
  for (auto& [version, zygote] : zygotes_) {
    auto program = find_php_program(version);
    const Php& newest = zygote.successor.process != nullptr ? zygote.successor : zygote.current;
    if (which == Renew::kChanged &&
        (!program || php_settings(*program, options_.php_args) == newest.settings)) {
      continue;
    }
    renew_zygote(version, zygote);
    any = true;
  }
  return any;
}

void Master::renew_zygote(const std::string& version, Zygote& zygote) {
  zygote.pools_follow = true;
  if (!zygote.current.process->running()) return;  // the one that its timer starts is fresh
  if (zygote.successor.process != nullptr) {       // already outdated
    zygote.successor.process->signal(SIGTERM);
    uint32_t number = zygote.successor.number;
    zygote.old[number] = std::exchange(zygote.successor, Php());
  }
  if (auto started = launch_php(version, &zygote.successor); !started) {
    log_.fpm(FpmLevel::kError, started.error().describe());
    zygote.successor = Php();
    pools_follow(version);
  }
}

void Master::use_successor(Zygote& zygote) {
  uint32_t number = zygote.current.number;
  zygote.current.process->signal(SIGTERM);
  zygote.old[number] = std::exchange(zygote.current, std::exchange(zygote.successor, Php()));
}

void Master::pools_follow(const std::string& version) {
  Zygote& zygote = zygotes_[version];
  if (std::exchange(configure_when_ready_, false)) sites_->configure(now_);
  if (std::exchange(zygote.pools_follow, false)) sites_->replace_all(version);
  sites_->start_eager();
}

void Master::signal_zygotes(int number) {
  for (auto& [version, zygote] : zygotes_) {
    if (zygote.current.process != nullptr) zygote.current.process->signal(number);
    if (zygote.successor.process != nullptr) zygote.successor.process->signal(number);
    for (auto& [serial, php] : zygote.old) php.process->signal(number);
  }
}

bool Master::zygotes_running() const {
  auto runs = [](const Php& php) { return php.process != nullptr && php.process->running(); };
  return std::any_of(zygotes_.begin(), zygotes_.end(), [&](const auto& entry) {
    const Zygote& zygote = entry.second;
    return runs(zygote.current) || runs(zygote.successor) || !zygote.old.empty();
  });
}

void Master::on_zygote_message(const std::string& version, uint32_t number, ipc::Op op,
                               std::string_view payload, std::vector<sys::Fd>& fds) {
  switch (op) {
    case ipc::Op::kReady:
      on_zygote_ready(version, number);
      break;
    default:
      (void)take_site_request(*sites_, 0, op, payload, fds);
      break;
  }
}

void Master::on_zygote_ready(const std::string& version, uint32_t number) {
  Zygote& zygote = zygotes_[version];
  if (zygote.successor.process != nullptr && zygote.successor.number == number) {
    use_successor(zygote);
  }
  if (zygote.current.number != number) return;
  zygote.ready = true;
  zygote.current.process->set_phase(ipc::Phase::kServing);
  if (state_ == State::kServing) pools_follow(version);
  maybe_started();
}

void Master::on_zygote_ended(const std::string& version, uint32_t number, pid_t pid,
                             const sys::Ended& ended, Millis lived) {
  Zygote& zygote = zygotes_[version];
  sites_->zygote_lost(number);
  std::string text = "PHP process " + std::to_string(pid) + " " + describe(ended, true);
  // Those that are dropped here are running one of their own callbacks.
  auto drop = [this](Php php) { loop_->defer([dead = std::make_shared<Php>(std::move(php))] {}); };
  if (zygote.current.number == number) {
    bool was_ready = std::exchange(zygote.ready, false);
    if (state_ == State::kStopping) return maybe_stopped();
    if (state_ == State::kStarting && !was_ready) {
      start_fail("PHP could not start: " + text, options_.kind == Kind::kFpm ? kExitSoftware : 1);
      return begin_stop(Stop::kFast);
    }
    if (zygote.successor.process == nullptr) return on_current_zygote_ended(version, text, lived);
    log_.fpm(FpmLevel::kWarning, text);
    drop(std::exchange(zygote.current, std::exchange(zygote.successor, Php())));
    return;
  }
  if (auto old = zygote.old.find(number); old != zygote.old.end()) {
    drop(std::move(old->second));
    zygote.old.erase(old);
  } else if (zygote.successor.number == number) {
    drop(std::exchange(zygote.successor, Php()));
    zygote.pools_follow = false;
    if (state_ == State::kServing) {
      log_.fpm(FpmLevel::kError, text + " before it was ready; PHP keeps its old settings");
      pools_follow(version);
    }
  }
  maybe_stopped();
}

void Master::on_current_zygote_ended(const std::string& version, const std::string& text,
                                     Millis lived) {
  Zygote& zygote = zygotes_[version];
  log_.fpm(FpmLevel::kWarning, text);
  zygote.restart = std::make_unique<loop::Timer>([this, version] {
    if (state_ == State::kStopping) return;
    if (auto started = start_zygote(version); !started) {
      log_.fpm(FpmLevel::kError, started.error().describe());
      zygotes_[version].restart->arm(*loop_, Backoff::kLongest);
    }
  });
  zygote.restart->arm(*loop_, zygote.backoff.ended(lived));
}

}  // namespace bulkhead::master
