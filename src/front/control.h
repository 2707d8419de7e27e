// Front's side of the channel to master: receives configurations, descriptors and news of sites,
// and hands them to the loops; passes their wishes up.
//
// Runs in: front, on the main thread with a loop of its own.  Input: master (trusted).
// Threads: main; the server loops run on threads it starts, reached by EventLoop::post() only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "front/open_sockets.h"
#include "front/runtime.h"
#include "front/server_loop.h"
#include "ipc/channel.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

constexpr uint32_t kLoopsMax = 19;  // a site's descriptors must fit one message

class Control {
 public:
  // Takes the channel to master and says ready.
  static Result<std::unique_ptr<Control>> create(sys::Fd master);
  ~Control();
  // Serves until master says quit or is gone.  Returns the exit code.
  int run();

 private:
  // Asked for more often than this, master would end us.
  static constexpr loop::Millis kMetricsFresh{500};
  // A configuration on its way, until Op::kActivate.
  struct Pending {
    uint64_t generation = 0;
    std::shared_ptr<const Plan> plan;
    std::vector<std::shared_ptr<sys::Fd>> listeners, pool_listeners;
    std::vector<sys::Fd> logs;
    OpenSockets open;
  };
  struct LoopThread {
    std::unique_ptr<ServerLoop> loop;
    std::thread thread;
    uint64_t settled = 0;  // generation for which nothing older is left on it
    bool empty = false;    // after quit: nothing at all is left
  };

  Control() = default;
  void on_message(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds);
  Status dispatch(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds);
  Status take_snapshot(std::string_view payload, std::vector<sys::Fd>& fds);
  Status take_descriptors(ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds);
  Status activate(std::string_view payload);
  Status site_up(std::string_view payload, std::vector<sys::Fd>& fds);
  Status site_down(std::string_view payload);
  Status take_counters(std::string_view payload, std::vector<sys::Fd>& fds);
  Status take_metrics(std::vector<sys::Fd>& fds);
  void want_metrics();
  Status start_loops(uint32_t count);
  void publish(std::shared_ptr<const Runtime> runtime, std::shared_ptr<const LogSet> logs);
  void reopened();
  void loop_settled(size_t index, uint64_t generation);
  void wake(uint32_t site);
  void refused(uint32_t site);
  void quit();
  void stop_loops();
  void fail(const Error& error);
  // Runs `work` on the control thread.  Threads: any.
  void post(std::function<void()> work) { events_->post(std::move(work)); }

  FrontShared shared_;
  std::unique_ptr<loop::EventLoop> events_;
  std::unique_ptr<ipc::Channel> master_;
  std::vector<std::unique_ptr<LoopThread>> loops_;
  std::unique_ptr<Pending> pending_;
  std::shared_ptr<const Runtime> active_;
  std::vector<sys::Fd> reopened_;  // logs of the active generation, as they come
  size_t reopened_count_ = 0;
  size_t configured_loops_ = 0;
  uint64_t drained_ = 0;  // newest generation reported as drained
  std::unordered_set<uint32_t> waking_;
  FileRef metrics_;  // the newest answer, for kMetricsFresh
  loop::Clock::time_point metrics_until_{};
  bool metrics_asked_ = false;
  bool quitting_ = false;
  int exit_code_ = 0;
};

}  // namespace bulkhead::front
