// For tests: a site whose worker processes run a function of the test, and a listener that records.
#pragma once

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "front/site_client.h"
#include "ring/worker_ring.h"
#include "sys/sockets.h"

namespace bulkhead::front::testing {

// One epoch of a site; destroying it kills its workers and closes its channel.
class TestSite {
 public:
  using Worker = std::function<void(ring::WorkerRing&, uint32_t index)>;
  explicit TestSite(int workers, const Worker& worker) {
    ends_.bell = std::move(*sys::create_shared("bell", ring::kBellBytes));
    ends_.segment = std::move(*sys::create_shared("segment", ring::kSegmentBytes));
    ends_.wake = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    ends_.workers_max = 8;
    auto pair = sys::seqpacket_pair();
    ends_.channel = std::move(pair->first);
    channel_ = std::move(pair->second);
    std::vector<ring::WorkerRing::LoopEnds> loops(1);
    loops[0].segment = sys::Fd(::dup(ends_.segment.get()));
    loops[0].wake = sys::Fd(::dup(ends_.wake.get()));
    ring_ = std::move(*ring::WorkerRing::create(ends_.bell, std::move(loops)));
    for (int i = 0; i < workers; ++i) {
      pid_t pid = ::fork();
      if (pid == 0) {
        worker(*ring_, static_cast<uint32_t>(i));
        ::_exit(0);
      }
      pids_.push_back(pid);
    }
  }
  ~TestSite() {
    for (size_t i = 0; i < pids_.size(); ++i) kill(i);
  }
  void kill(size_t i) {
    if (pids_[i] < 0) return;
    ::kill(pids_[i], SIGKILL);
    ::waitpid(pids_[i], nullptr, 0);
    pids_[i] = -1;
    ring_->mark_dead(static_cast<uint32_t>(i));
  }
  // Whether worker `i`, or any, has ended by itself since; front is then told, as its pool would.
  // Never waits: front wakes workers at the end of its turn, so whoever waits for a worker to act
  // has to turn the loop meanwhile.
  bool reap(size_t i) {
    if (pids_[i] < 0 || ::waitpid(pids_[i], nullptr, WNOHANG) != pids_[i]) return false;
    pids_[i] = -1;
    ring_->mark_dead(static_cast<uint32_t>(i));
    return true;
  }
  bool reap_any() {
    for (size_t i = 0; i < pids_.size(); ++i) {
      if (reap(i)) return true;
    }
    return false;
  }
  // All workers sleep on their words of the bell, or are about to and will look for work first.
  bool is_asleep() {
    for (size_t i = 0; i < pids_.size(); ++i) {
      if (pids_[i] >= 0 && !ring_->is_idle(static_cast<uint32_t>(i))) return false;
    }
    return true;
  }
  SiteEnds ends() {
    SiteEnds copy;
    copy.bell = sys::Fd(::dup(ends_.bell.get()));
    copy.segment = sys::Fd(::dup(ends_.segment.get()));
    copy.wake = sys::Fd(::dup(ends_.wake.get()));
    copy.channel = std::move(ends_.channel);
    copy.workers_max = ends_.workers_max;
    return copy;
  }
  ring::WorkerRing& ring() { return *ring_; }
  sys::Fd& channel() { return channel_; }

 private:
  SiteEnds ends_;
  sys::Fd channel_;
  std::unique_ptr<ring::WorkerRing> ring_;
  std::vector<pid_t> pids_;
};

struct Recorder : AppListener {
  std::unique_ptr<AppStream> stream;
  std::string head, body, err, detail;
  AppError error = AppError::kNone;
  size_t consume_max = SIZE_MAX;  // per call
  std::string upload;             // still to be sent
  std::function<void()> on_head;
  int flushes = 0;
  bool ended = false;

  void on_app_head(std::string_view block) override {
    head = block;
    if (on_head) on_head();
  }
  void on_app_readable() override { drain(); }
  void drain() {
    iovec pieces[8];
    size_t left = consume_max;
    while (left > 0) {
      size_t count = stream->peek(pieces, 8);
      size_t taken = 0;
      for (size_t i = 0; i < count && taken < left; ++i) {
        size_t n = std::min(pieces[i].iov_len, left - taken);
        body.append(static_cast<const char*>(pieces[i].iov_base), n);
        taken += n;
      }
      if (taken == 0) break;
      stream->consume(taken);
      left -= taken;
    }
    flushes += stream->take_flush() ? 1 : 0;
    ended = stream->ended();
  }
  void on_app_stderr(std::string_view text) override { err += text; }
  void on_app_error(AppError e, std::string_view d) override {
    error = e;
    detail = d;
  }
  void on_app_writable() override { send(); }
  void send() {
    while (!upload.empty()) {
      size_t n = stream->write_body(upload);
      if (n == 0) return;
      upload.erase(0, n);
    }
    stream->finish_body();
  }
  [[nodiscard]] bool over() const { return ended || error != AppError::kNone; }
};

}  // namespace bulkhead::front::testing
