// Requests on one loop that wait for the metrics, which master has written and control brings.
//
// Runs in: front.  Input: a file of master's (trusted).  Threads: one loop.
#pragma once

#include <functional>
#include <list>

#include "front/files.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

class MetricsDesk {
 public:
  // `want` asks control for them; answer() follows, or kPatience has passed.
  MetricsDesk(loop::EventLoop& loop, std::function<void()> want);
  MetricsDesk(const MetricsDesk&) = delete;
  MetricsDesk& operator=(const MetricsDesk&) = delete;

  // The waiter gets the text as a file, or a file with an error.
  void ask(FileWaiter& waiter);
  void answer(const FileRef& file);

 private:
  static constexpr loop::Millis kPatience{30'000};
  loop::EventLoop& loop_;
  std::function<void()> want_;
  std::list<FileWaiter*> waiting_;  // null: gave up
  loop::Timer patience_;
};

// Stands for metrics that could not be had.
[[nodiscard]] FileRef no_metrics(int error);

}  // namespace bulkhead::front
