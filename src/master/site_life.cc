#include "master/site_life.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "ring/layout.h"
#include "sandbox/cgroup.h"
#include "sandbox/confine.h"
#include "sandbox/policy.h"
#include "sandbox/stand_ins.h"
#include "sys/files.h"
#include "sys/sealed.h"
#include "sys/shared_memory.h"
#include "sys/sockets.h"

namespace bulkhead::master {
namespace {

constexpr size_t kExplanationMax = 512;

// A site's last words as one line that no terminal and no JSON reader stumbles over.
std::string visible(std::string_view text) {
  std::string out(text.substr(0, kExplanationMax));
  if (out.empty()) return "it cannot start";
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

}  // namespace

Result<SiteEnds> SiteEnds::create(bool has_pool, uint32_t loops) {
  SiteEnds ends;
  if (has_pool) ends.bell = TRY(sys::create_shared("bell", ring::kBellBytes));
  for (uint32_t i = 0; i < loops; ++i) {
    sys::SocketPair pair = TRY(sys::seqpacket_pair());
    ends.front_channels.push_back(std::move(pair.first));
    ends.site_channels.push_back(std::move(pair.second));
    if (!has_pool) continue;
    ends.segments.push_back(TRY(sys::create_shared("segment", ring::kSegmentBytes)));
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake.valid()) return fail_errno("eventfd() failed");
    ends.wakes.push_back(std::move(wake));
  }
  return ends;
}

SiteLife::SiteLife(loop::EventLoop& loop, Reaper& reaper, uint32_t site, uint32_t epoch,
                   std::string name, Hooks hooks)
    : loop_(loop),
      reaper_(reaper),
      site_(site),
      epoch_(epoch),
      name_(std::move(name)),
      hooks_(std::move(hooks)),
      watch_(*this) {
  patience_ = std::make_unique<loop::Timer>([this] { kill(); });
  patience_->arm(loop_, kStartPatience);
}

SiteLife::~SiteLife() {
  if (watched_) loop_.remove(child_.pidfd, &watch_);
  if (child_.pid > 0) reaper_.forget(child_.pid);
}

Millis SiteLife::lived() const {
  return std::chrono::duration_cast<Millis>(loop::Clock::now() - started_);
}

Status SiteLife::open_channel(sys::Fd socket, ipc::Role role) {
  channel_ = TRY(ipc::Channel::create(
      loop_, std::move(socket), role, ipc::Phase::kStarting,
      [this](ipc::Op op, std::string_view payload, std::vector<sys::Fd>&) {
        on_message(op, payload);
      },
      [this](const std::string& violation) {
        if (violation.empty()) {
          // Without a channel it cannot be told anything; it should be ending.
          if (!stopping_) patience_->arm(loop_, kStopPatience);
          return;
        }
        hooks_.on_violation(this, violation);
        kill();
      }));
  return {};
}

Status SiteLife::start_files(const SiteSpec& spec, SiteEnds* ends) {
  sys::SocketPair pair = TRY(sys::seqpacket_pair());
  sys::Spawn spawn;
  spawn.program = TRY(find_program("bulkhead-files"));
  spawn.argv = {"bulkhead-files", std::to_string(ends->site_channels.size())};
  spawn.env = child_environment(Environment::kBare);
  spawn.fds.push_back(pair.second);
  for (const sys::Fd& fd : ends->site_channels) spawn.fds.push_back(fd);
  sandbox::Policy policy;
  policy.identity = spec.identity;
  policy.core_bytes = 0;
  policy.no_capabilities = true;
  spawn.in_child = [&policy, &spec, &spawn, this]() -> Status {
    TRY_STATUS(sandbox::limit_process(spec.limits, share.controllers));
    sandbox::Entered entered;
    // The program may lie anywhere, also where its site's user may not look.
    sys::Fd program(::open(spawn.program.c_str(), O_PATH | O_CLOEXEC));
    if (spec.identity) {
      entered.trees = TRY(sandbox::resolve_trees(spec.policy, spec.identity->uid)).trees;
      policy.landlock = sandbox::opener_rules(spec.policy, entered);
      if (policy.landlock && program.valid()) {
        policy.landlock->paths.push_back({spawn.program, sandbox::PathRule::kReadExec, program});
      }
    }
    return sandbox::apply(policy);
  };
  spawn.group = share.directory();
  child_ = TRY(sys::spawn(spawn));
  // Not in_child: the child's descriptors have been moved by then.  The opener forks nothing.
  if (share.group && !child_.in_group) {
    TRY_STATUS(sandbox::join_group(share.directory(), child_.pid));
  }
  ends->site_channels.clear();
  reaper_.watch(child_.pid, [this](const sys::Ended& how) {
    how_ = how;
    ended();
  });
  return open_channel(std::move(pair.first), ipc::Role::kOpener);
}

Result<SiteLife::ForkRequest> SiteLife::prepare_fork(const SiteSpec& spec, const SiteEnds& ends) {
  ForkRequest request{};
  std::string config = config::serialise(spec.pool);
  sys::SocketPair pair = TRY(sys::seqpacket_pair());
  TRY_STATUS(open_channel(std::move(pair.first), ipc::Role::kPool));
  // Settings, then what the site may see: one sealed memory.
  request.owned.push_back(
      TRY(sys::create_sealed("pool", config + sandbox::serialise(spec.policy))));
  request.owned.push_back(std::move(pair.second));
  if (!spec.pool.access_log.empty()) {
    request.owned.push_back(TRY(sys::open_log(spec.pool.access_log, 0600)));
    request.body.has_access_log = 1;
  }
  for (const sys::Fd& fd : request.owned) request.fds.push_back(fd);
  request.fds.push_back(ends.bell);
  for (size_t i = 0; i < ends.segments.size(); ++i) {
    request.fds.push_back(ends.segments[i]);
    request.fds.push_back(ends.wakes[i]);
    request.fds.push_back(ends.site_channels[i]);
  }
  if (share.group) {
    request.fds.push_back(share.directory());
    request.body.has_group = 1;
  }
  request.body.controllers = share.controllers;
  request.body.site = site_;
  request.body.epoch = epoch_;
  request.body.loops = static_cast<uint32_t>(ends.segments.size());
  request.body.config_bytes = config.size();
  if (spec.identity) {
    request.body.uid = spec.identity->uid;
    request.body.gid = spec.identity->gid;
    request.body.change_user = 1;
  }
  return request;
}

void SiteLife::forked(pid_t pid, sys::Fd pidfd) {
  child_.pid = pid;
  child_.pidfd = std::move(pidfd);
  if (auto added = loop_.add(child_.pidfd, EPOLLIN, &watch_); added) watched_ = true;
  if (stopping_) kill();
}

void SiteLife::fork_failed() { ended(); }

void SiteLife::Watch::on_ready(uint32_t) { life_.ended(); }

void SiteLife::on_message(ipc::Op op, std::string_view payload) {
  switch (op) {
    case ipc::Op::kReady:
      if (stopping_) break;  // it had not heard of that yet
      ready_ = true;
      channel_->set_phase(ipc::Phase::kServing);
      patience_->cancel();
      hooks_.on_ready(this);
      break;
    case ipc::Op::kIdle:
      hooks_.on_idle(this);
      break;
    case ipc::Op::kLog:
      hooks_.on_log(this, static_cast<uint8_t>(payload[0]), payload.substr(1));
      break;
    case ipc::Op::kPoolFailed:
      explanation_ = visible(payload);
      hooks_.on_log(this, static_cast<uint8_t>(config::FpmLevel::kError), payload);
      break;
    default:
      break;  // the table lets nothing else through
  }
}

bool SiteLife::send(ipc::Op op, std::string_view payload, std::span<const sys::FdRef> fds) {
  return channel_ != nullptr && channel_->send(op, payload, fds);
}

void SiteLife::stop(bool graceful, Millis patience) {
  uint8_t how = graceful ? 1 : 0;
  stopping_ = true;
  if (channel_ != nullptr) channel_->set_phase(ipc::Phase::kStopping);
  (void)send(ipc::Op::kStop, ipc::body_bytes(how));
  patience_->cancel();
  if (patience > Millis(0)) patience_->arm(loop_, patience);
}

void SiteLife::kill() {
  stopping_ = true;
  if (child_.pidfd.valid()) (void)sys::send_signal(child_.pidfd, SIGKILL);
  if (child_.pid <= 0) ended();  // the zygote never answered
}

void SiteLife::ended() {
  if (over_) return;
  // Its last words may wait behind the news of its death: that it was ready, above all.
  if (channel_ != nullptr) channel_->drain();
  over_ = true;
  patience_->cancel();
  if (watched_) {
    loop_.remove(child_.pidfd, &watch_);
    watched_ = false;
  }
  if (child_.pid > 0) reaper_.forget(child_.pid);
  hooks_.on_ended(this);
}

}  // namespace bulkhead::master
