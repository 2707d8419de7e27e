// See pool.h: forking, watching and burying workers, in php-fpm's words.
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "pool/pool.h"
#include "pool/worker.h"
#include "sys/host_pid.h"

namespace bulkhead::pool {
namespace {

constexpr int kHostPidMs = 1000;
constexpr int64_t kQuickUs = 1'000'000;  // a worker that ends sooner has hardly lived
constexpr uint32_t kQuickDeathsMax = 5;  // from here on the next one waits
constexpr int64_t kRespawnMs = 100, kRespawnMsMax = 5000;

std::string seconds(int64_t us) {
  char text[40];
  snprintf(text, sizeof text, "%lld.%06d", static_cast<long long>(us / 1'000'000),
           static_cast<int>(us % 1'000'000));
  return text;
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "with code " + std::to_string(WEXITSTATUS(status));
  std::string text =
      "on signal " + std::to_string(WTERMSIG(status)) + " (" + sys::signal_name(WTERMSIG(status));
  if (WCOREDUMP(status)) text += " - core dumped";
  return text + ")";
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (isprint(static_cast<unsigned char>(c)) == 0) c = '.';
  }
  return text;
}

}  // namespace

std::optional<uint32_t> Pool::free_index() const {
  for (uint32_t i = 0; i < scoreboard_->size(); ++i) {
    const bool taken = std::any_of(children_.begin(), children_.end(),
                                   [i](const auto& child) { return child->index == i; });
    if (!taken) return i;
  }
  return {};
}

void Pool::fork_workers(uint32_t count, config::FpmLevel level) {
  while (count-- > 0 && fork_worker(level)) {
  }
}

Result<Pool::ChildPipes> Pool::make_child_pipes() {
  ChildPipes pipes;
  if (!config_.catch_workers_output) return pipes;
  pipes.out = TRY(make_pipe());
  pipes.err = TRY(make_pipe());
  return pipes;
}

bool Pool::fork_worker(config::FpmLevel level) {
  const auto index = free_index();
  if (!index) return false;
  auto pipes = make_child_pipes();
  if (!pipes) {
    log_.line(config::FpmLevel::kError, pipes.error().describe());
    return false;
  }
  scoreboard_->take(*index, time(nullptr));
  sys::Fd told(eventfd(0, EFD_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) become_worker(*index, *pipes, std::move(told));
  if (pid < 0) {
    log_.line(config::FpmLevel::kError, fail_errno("fork() failed").error().describe());
    return false;
  }
  auto child = std::make_unique<Child>();
  child->index = *index;
  child->pid = pid;
  child->host_pid = wait_for_host_pid(told, pid);
  scoreboard_->record(*index).used = static_cast<uint32_t>(child->host_pid);
  child->started_us = now_us();
  catch_output(*child, std::move(*pipes));
  children_.push_back(std::move(child));
  log_.line(level, "child " + std::to_string(children_.back()->host_pid) + " started");
  return true;
}

// The new worker says it before any code of the site runs in it, through a descriptor that only the
// two of us have.
pid_t Pool::wait_for_host_pid(sys::FdRef told, pid_t pid) {
  if (getpid() != 1) return pid;  // both numbers are the same
  pollfd p{told.get(), POLLIN, 0};
  uint64_t number = 0;
  if (poll(&p, 1, kHostPidMs) != 1 || read(told.get(), &number, sizeof number) != sizeof number) {
    return pid;
  }
  return static_cast<pid_t>(number);
}

void Pool::catch_output(Child& child, ChildPipes pipes) {
  if (!pipes.out.read.valid()) return;
  const auto sink = [this, pid = child.host_pid](const char* stream) {
    return [this, pid, stream](std::string_view line) {
      if (!config_.decorate_workers_output) {
        // Level 0: the line goes to the log as it is.
        log_.line(static_cast<config::FpmLevel>(0), line);
        return;
      }
      log_.line(config::FpmLevel::kWarning, "child " + std::to_string(pid) + " said into " +
                                                stream + ": \"" + std::string(line) + "\"");
    };
  };
  auto out = WorkerOutput::create(*loop_, std::move(pipes.out.read), sink("stdout"));
  auto err = WorkerOutput::create(*loop_, std::move(pipes.err.read), sink("stderr"));
  if (out) child.out = std::move(*out);
  if (err) child.err = std::move(*err);
}

// In the forked child.  Nothing of the pool is destroyed: the process ends in _exit.
void Pool::become_worker(uint32_t index, const ChildPipes& pipes, sys::Fd told) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != own_pid_) _exit(0);  // it has ended already
  const pid_t own = sys::host_pid(self_link_);
  const auto number = static_cast<uint64_t>(own);
  if (write(told.get(), &number, sizeof number) != sizeof number) _exit(70);
  sys::reset_signals();
  if (pipes.out.write.valid()) {
    dup2(pipes.out.write.get(), STDOUT_FILENO);
    dup2(pipes.err.write.get(), STDERR_FILENO);
  } else {
    dup2(STDOUT_FILENO, STDERR_FILENO);  // /dev/null
  }
  std::vector<sys::FdRef> keep = kept_by_workers_;
  if (access_log_.valid()) keep.push_back(access_log_);
  sys::close_descriptors_from(3, keep);
  sys::set_process_title("php-fpm: pool " + config_.name);
  const WorkerContext context{config_,     *ring_,      *scoreboard_, access_format_,
                              access_log_, cache_lock_, index,        pipes.err.write.valid(),
                              own,         host_pid_};
  _exit(run_worker(context));
}

void Pool::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    const auto at = std::find_if(children_.begin(), children_.end(),
                                 [pid](const auto& child) { return child->pid == pid; });
    if (at == children_.end()) {
      commands_->reap(pid, status);  // else a process a worker left behind
      continue;
    }
    std::unique_ptr<Child> child = std::move(*at);
    children_.erase(at);
    bury(*child, status);
  }
  finish_if_empty();
}

void Pool::bury(Child& child, int status) {
  ring_->mark_dead(child.index);  // front answers 502 for its request at once
  const WorkerRecord& record = scoreboard_->record(child.index);
  const bool served = record.requests > 0;
  scoreboard_->release(child.index);
  if (child.out) child.out->drain();
  if (child.err) child.err->drain();
  log_death(child, status, record);
  const bool was_told = child.told_to_quit &&
                        (WIFEXITED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT));
  if (state_ != State::kRunning || was_told) return;
  const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  replace_dead(!clean && !served && now_us() - child.started_us < kQuickUs);
}

void Pool::log_death(const Child& child, int status, const WorkerRecord&) {
  const std::string after =
      " after " + seconds(now_us() - child.started_us) + " seconds from start";
  const std::string who = "child " + std::to_string(child.host_pid);
  if (child.told_to_quit && (WIFEXITED(status) || WTERMSIG(status) == SIGQUIT)) {
    log_.line(config::FpmLevel::kDebug, who + " has been killed by the process management" + after);
    return;
  }
  config::FpmLevel level = config::FpmLevel::kNotice;
  if (WIFEXITED(status) ? WEXITSTATUS(status) != 0 : WTERMSIG(status) != SIGQUIT) {
    level = config::FpmLevel::kWarning;
  }
  if (state_ != State::kRunning) level = config::FpmLevel::kDebug;
  log_.line(level, who + " exited " + how_it_ended(status) + after);
}

// A worker that cannot start must not turn into a loop of forks.
void Pool::replace_dead(bool quick) {
  quick_deaths_ = quick ? quick_deaths_ + 1 : 0;
  if (quick_deaths_ < kQuickDeathsMax) {
    fork_workers(pm_.after_death(static_cast<uint32_t>(children_.size())),
                 config::FpmLevel::kNotice);
    return;
  }
  if (respawn_->armed()) return;
  const uint32_t doublings = std::min(quick_deaths_ - kQuickDeathsMax, 10u);
  const int64_t wait_ms = std::min(kRespawnMs << doublings, kRespawnMsMax);
  log_.line(config::FpmLevel::kWarning,
            "children end as soon as they start; the next one starts in " +
                std::to_string(wait_ms) + " ms");
  respawn_->arm(*loop_, loop::Millis(wait_ms));
}

void Pool::signal_all(int signal) {
  for (const auto& child : children_) kill(child->pid, signal);
}

Pool::Child* Pool::oldest_idle() {
  Child* oldest = nullptr;
  for (const auto& child : children_) {
    if (child->told_to_quit || !scoreboard_->is_idle(child->index)) continue;
    if (oldest == nullptr || child->started_us < oldest->started_us) oldest = child.get();
  }
  return oldest;
}

void Pool::quit_oldest_idle() {
  Child* child = oldest_idle();
  if (child == nullptr) return;
  child->told_to_quit = true;
  kill(child->pid, SIGQUIT);
}

void Pool::check_request_timeouts() {
  const int limit_s = config_.request_terminate_timeout_s;
  if (limit_s <= 0) return;
  heartbeat_->arm(*loop_, loop::Millis(std::max<int64_t>(130, int64_t{limit_s} * 1000 / 3)));
  const int64_t now = now_us();
  for (const auto& child : children_) {
    const WorkerRecord& r = scoreboard_->record(child->index);
    const Stage stage = r.stage;
    const bool runs = stage > Stage::kAccepting &&
                      (stage < Stage::kEnd || config_.request_terminate_timeout_track_finished);
    const int64_t spent = now - r.accepted_us;
    if (!runs || spent < int64_t{limit_s} * 1'000'000) continue;
    // One that survives SIGTERM for a second has taken hold of it.
    const bool again = child->terminated_us != 0 && now - child->terminated_us > kQuickUs;
    kill(child->pid, again ? SIGKILL : SIGTERM);
    if (child->terminated_us == 0) child->terminated_us = now;
    const std::string query = text_of(r.query);
    log_.line(config::FpmLevel::kWarning,
              "child " + std::to_string(child->host_pid) + ", script '" +
                  printable(text_of(r.script)) + "' (request: \"" + text_of(r.method) + " " +
                  text_of(r.uri) + (query.empty() ? "" : "?") + query +
                  "\") execution timed out (" + seconds(spent) + " sec), terminating");
  }
}

}  // namespace bulkhead::pool
