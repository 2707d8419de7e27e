// Front: started, configured, listened to, started again.
//
// Runs in: master.  Input: messages of front, already checked by the permit table.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include "master/fpm_cli.h"
#include "master/master.h"
#include "master/site_requests.h"
#include "sys/files.h"
#include "sys/rlimit.h"
#include "sys/sealed.h"

namespace bulkhead::master {

Status Master::start_front() {
  return launch_front(TRY(front_settings(*now_.model, now_.snapshot, nullptr)));
}

Status Master::launch_front(FrontSettings settings) {
  ChildProcess::Start start;
  start.program = TRY(find_program("bulkhead-front"));
  start.argv = {"bulkhead-front"};
  start.role = ipc::Role::kFront;
  sandbox::Policy policy;
  // Front becomes that user itself: its empty root takes root's rights to enter.
  if (const auto& identity = settings.identity) {
    start.argv.push_back(std::to_string(identity->uid));
    start.argv.push_back(std::to_string(identity->gid));
    for (gid_t group : identity->groups) start.argv.push_back(std::to_string(group));
  }
  policy.core_bytes = settings.core_bytes;
  if (settings.nofile) {
    // As nginx: a limit that cannot be had is a warning.
    if (sys::is_root() || *settings.nofile <= sys::nofile_limit().hard) {
      policy.nofile = settings.nofile;
    } else {
      log_.nginx(LogLevel::kAlert,
                 "setrlimit(RLIMIT_NOFILE, " + std::to_string(*settings.nofile) + ") failed");
    }
  }
  if (settings.priority != 0) policy.nice = settings.priority;
  start.policy = std::move(policy);
  start.standard_error = child_stderr_;
  start.group = shares_->front_group();
  uint32_t number = next_front_++;
  auto front = std::make_unique<ChildProcess>(
      *loop_, reaper_,
      ChildProcess::Hooks{
          [this, number](ipc::Op op, std::string_view payload, std::vector<sys::Fd>&) {
            on_front_message(number, op, payload);
          },
          [this](pid_t pid, const std::string& what) {
            log_.nginx(LogLevel::kAlert,
                       "killed worker process " + std::to_string(pid) + ": it " + what);
          },
          [this, number](pid_t pid, const sys::Ended& ended, Millis lived) {
            on_front_ended(number, pid, ended, lived);
          }});
  TRY_STATUS(front->start(start));
  retire_front();
  front_ = std::move(front);
  front_number_ = number;
  front_ready_ = false;
  front_settings_ = std::move(settings);
  sites_->use_front(number, front_settings_.loops);
  give_counters();
  if (speaks_nginx()) {
    if (state_ == State::kStarting) log_.nginx(LogLevel::kNotice, "start worker processes");
    log_.nginx(LogLevel::kNotice, "start worker process " + std::to_string(front_->pid()));
  }
  configure_front();
  return {};
}

// What front counts in.  Without it front serves, and the numbers of sites stay as they are.
void Master::give_counters() {
  auto memory = counters_.begin(front_number_, front_settings_.loops);
  if (!memory) return log_.nginx(LogLevel::kWarn, "no counts: " + memory.error().describe());
  const sys::FdRef fds[] = {*memory};
  front_->send(ipc::Op::kCounters, ipc::body_bytes(front_settings_.loops), fds);
}

bool Master::send_chunks(ipc::Op op, const std::vector<sys::FdRef>& fds) {
  sys::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  size_t first = 0;
  do {
    size_t count = std::min<size_t>(fds.size() - first, ipc::kMaxFds);
    ipc::DescriptorsBody body{generation_, static_cast<uint32_t>(first),
                              static_cast<uint32_t>(fds.size())};
    std::vector<sys::FdRef> chunk(fds.begin() + static_cast<long>(first),
                                  fds.begin() + static_cast<long>(first + count));
    for (sys::FdRef& fd : chunk) {
      if (!fd.valid()) fd = null;  // holds the place of a socket that is not served
    }
    if (!front_->send(op, ipc::body_bytes(body), chunk)) return false;
    first += count;
  } while (first < fds.size());
  return true;
}

void Master::configure_front() {
  ++generation_;
  counters_.know(now_.snapshot.sites);
  now_.snapshot.generation = generation_;
  std::string bytes = config::serialise(now_.snapshot);
  auto memory = sys::create_sealed("snapshot", bytes);
  if (!memory) {
    log_.nginx(LogLevel::kAlert, memory.error().describe());
    return;
  }
  ipc::SnapshotBody body{generation_, bytes.size()};
  sys::FdRef fds[] = {*memory};
  std::vector<sys::FdRef> logs(log_files_.begin(), log_files_.end());
  bool sent = front_->send(ipc::Op::kSnapshot, ipc::body_bytes(body), fds) &&
              send_chunks(ipc::Op::kListeners, listeners_.web(now_)) &&
              send_chunks(ipc::Op::kPoolListeners, listeners_.pools(now_)) &&
              send_chunks(ipc::Op::kLogFiles, logs) &&
              front_->send(ipc::Op::kActivate, ipc::body_bytes(generation_));
  if (!sent) log_.nginx(LogLevel::kAlert, "front does not take its configuration");
}

void Master::on_front_message(uint32_t number, ipc::Op op, std::string_view payload) {
  bool current = number == front_number_ && front_ != nullptr;
  switch (op) {
    case ipc::Op::kReady:
      if (current) front_->set_phase(ipc::Phase::kServing);
      break;
    case ipc::Op::kConfigured:
      if (!current) break;
      configured_ = *ipc::read_body<uint64_t>(payload);
      if (configured_ != generation_) break;
      front_->set_phase(ipc::Phase::kServing);
      // Until now front may have needed the sockets of the configuration before.
      listeners_.close_unused(now_);
      quit_old_fronts();
      if (!front_ready_) {
        front_ready_ = true;
        if (state_ == State::kServing) sites_->start_eager();
        maybe_started();
      }
      break;
    case ipc::Op::kWantMetrics:
      write_metrics(number);
      break;
    default: {
      std::vector<sys::Fd> none;
      (void)take_site_request(*sites_, number, op, payload, none);
      break;  // kDrained: nothing to do, old sockets are closed already
    }
  }
}

void Master::on_front_ended(uint32_t number, pid_t pid, const sys::Ended& ended, Millis lived) {
  bool clean = ended.how == sys::Ended::How::kExited && ended.value == 0;
  std::string text = "worker process " + std::to_string(pid) + " " + describe(ended, false);
  auto old = old_fronts_.find(number);
  bool expected = state_ == State::kStopping || (clean && old != old_fronts_.end());
  if (speaks_nginx()) {
    bool crashed = ended.how == sys::Ended::How::kSignalled;
    if (clean) {
      log_.nginx_as(pid, LogLevel::kNotice, "exiting");
      log_.nginx_as(pid, LogLevel::kNotice, "exit");
    }
    log_.nginx(LogLevel::kNotice, "signal 17 (SIGCHLD) received from " + std::to_string(pid));
    log_.nginx(crashed ? LogLevel::kAlert : LogLevel::kNotice, text);
  } else if (!expected) {
    log_.fpm(FpmLevel::kWarning, "front " + text);
  }
  sites_->front_ended(number);
  counters_.end(number);
  if (old != old_fronts_.end()) {
    // It is running one of its own callbacks.
    loop_->defer([dead = std::make_shared<OldFront>(std::move(old->second))] {});
    old_fronts_.erase(old);
    return maybe_stopped();
  }
  bool was_ready = std::exchange(front_ready_, false);
  if (expected) return maybe_stopped();
  if (state_ == State::kStarting && !was_ready) {
    start_fail("bulkhead-front could not start: it " + describe(ended, true),
               options_.kind == Kind::kFpm ? kExitSoftware : 1);
    return begin_stop(Stop::kFast);
  }
  Millis delay = clean ? Millis(0) : front_backoff_.ended(lived);
  front_restart_ = std::make_unique<loop::Timer>([this] {
    if (state_ == State::kStopping) return;
    if (auto started = start_front(); !started) {
      log_.nginx(LogLevel::kAlert, started.error().describe());
      front_restart_->arm(*loop_, Backoff::kLongest);
    }
  });
  front_restart_->arm(*loop_, delay);
}

}  // namespace bulkhead::master
