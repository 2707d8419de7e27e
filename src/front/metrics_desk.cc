// See metrics_desk.h.
#include "front/metrics_desk.h"

#include <cerrno>
#include <utility>

namespace bulkhead::front {

FileRef no_metrics(int error) {
  auto file = std::make_shared<OpenFile>();
  file->error = error;
  return file;
}

MetricsDesk::MetricsDesk(loop::EventLoop& loop, std::function<void()> want)
    : loop_(loop), want_(std::move(want)), patience_([this] { answer(no_metrics(ETIMEDOUT)); }) {}

void MetricsDesk::ask(FileWaiter& waiter) {
  waiting_.remove(nullptr);
  waiting_.push_back(&waiter);
  waiter.pending_ = &waiting_.back();
  if (!patience_.armed()) patience_.arm(loop_, kPatience);
  want_();
}

void MetricsDesk::answer(const FileRef& file) {
  patience_.cancel();
  // Whoever is answered may ask again: it waits for the next answer.
  std::list<FileWaiter*> waiting = std::exchange(waiting_, {});
  for (FileWaiter*& cell : waiting) {
    FileWaiter* waiter = std::exchange(cell, nullptr);
    if (waiter == nullptr) continue;
    waiter->pending_ = nullptr;
    waiter->on_file(file);
  }
}

}  // namespace bulkhead::front
