// One front follows another: when something changed that is settled when its process starts, the
// new one takes the same sockets, and the old one finishes what it has begun.
//
// Runs in: master.
#include <signal.h>

#include "master/master.h"

namespace bulkhead::master {

bool Master::to_front(uint32_t number, ipc::Op op, std::string_view payload,
                      std::span<const sys::FdRef> fds) {
  if (number == front_number_) return front_running() && front_->send(op, payload, fds);
  auto old = old_fronts_.find(number);
  return old != old_fronts_.end() && old->second.process->send(op, payload, fds);
}

// Puts the new configuration before front; starts a new front where the running one cannot change.
// False: the running one was kept, and has not been told yet.
bool Master::renew_front() {
  if (!front_running()) {
    // A failing front comes back by its own timer, with the new configuration.
    if (front_restart_ != nullptr && front_restart_->armed()) return true;
    if (auto started = start_front(); !started) {
      log_.nginx(LogLevel::kAlert, started.error().describe());
    }
    return true;
  }
  auto wanted = front_settings(*now_.model, now_.snapshot, &front_settings_);
  if (wanted && same_process(*wanted, front_settings_)) return false;
  Status launched = wanted ? launch_front(*wanted) : Status(std::unexpected(wanted.error()));
  if (launched) return true;
  log_.nginx(LogLevel::kAlert,
             "worker processes stay as they were: " + launched.error().describe());
  now_.snapshot.loops = front_settings_.loops;
  return false;
}

void Master::retire_front() {
  if (front_running()) old_fronts_[front_number_].process = std::move(front_);
  front_.reset();
  front_number_ = 0;
}

void Master::quit_front(ChildProcess& front) {
  front.set_phase(ipc::Phase::kStopping);
  front.send(ipc::Op::kQuit);
  if (speaks_nginx()) {
    log_.nginx_as(front.pid(), LogLevel::kNotice, "gracefully shutting down");
  }
}

void Master::quit_old_fronts() {
  for (auto& [number, old] : old_fronts_) {
    if (std::exchange(old.told, true)) continue;
    quit_front(*old.process);
    Millis patience = now_.model->worker_shutdown_timeout;
    if (patience <= Millis(0)) continue;
    old.patience = std::make_unique<loop::Timer>([this, at = number] { hurry_old_front(at); });
    old.patience->arm(*loop_, patience);
  }
}

void Master::hurry_old_front(uint32_t number) {
  OldFront& old = old_fronts_.at(number);
  if (std::exchange(old.hung_up, true)) return old.process->signal(SIGKILL);
  old.process->hang_up();
  old.patience->arm(*loop_, kStopPatience);
}

// Signal 0: lets go of them, so that they end by themselves.
void Master::end_old_fronts(int signal) {
  for (auto& [number, old] : old_fronts_) {
    if (signal == 0) {
      old.process->hang_up();
    } else {
      old.process->signal(signal);
    }
  }
}

}  // namespace bulkhead::master
