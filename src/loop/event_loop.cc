#include "loop/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

namespace bulkhead::loop {
namespace {
constexpr int kBatch = 256;  // readiness events taken per epoll_wait
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  auto loop = std::unique_ptr<EventLoop>(new EventLoop());
  loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_.valid()) return fail_errno("epoll_create1() failed");
  loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_.valid()) return fail_errno("eventfd() failed");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) < 0) {
    return fail_errno("epoll_ctl() failed");
  }
  loop->refresh_time();
  return loop;
}

EventLoop::~EventLoop() {
  for (Timer* timer : heap_) {
    timer->armed_ = false;
    timer->heap_index_ = SIZE_MAX;
    timer->loop_ = nullptr;
  }
}

Status EventLoop::add(sys::FdRef fd, uint32_t events, IoHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) < 0) {
    return fail_errno("epoll_ctl(ADD) failed");
  }
  return {};
}

Status EventLoop::modify(sys::FdRef fd, uint32_t events, IoHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event) < 0) {
    return fail_errno("epoll_ctl(MOD) failed");
  }
  return {};
}

void EventLoop::remove(sys::FdRef fd, IoHandler* handler) {
  if (fd.valid()) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  for (auto& [ready, events] : ready_) {
    if (ready == handler) ready = nullptr;
  }
}

void EventLoop::add_poller(Poller* poller) { pollers_.push_back(poller); }
void EventLoop::remove_poller(Poller* poller) { std::erase(pollers_, poller); }

void EventLoop::post(std::function<void()> work) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

void EventLoop::stop() {
  stop_.store(true, std::memory_order_release);
  post([] {});
}

void EventLoop::refresh_time() {
  now_ = Clock::now();
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  wall_seconds_ = wall.tv_sec;
  wall_millis_ = static_cast<uint32_t>(wall.tv_nsec / 1'000'000);
}

void EventLoop::run() {
  while (!stop_.load(std::memory_order_acquire)) run_once(Millis(-1));
}

Millis EventLoop::until_next_timer() const {
  if (heap_.empty()) return Millis(-1);
  auto left = std::chrono::ceil<Millis>(heap_[0]->queued_ - Clock::now());
  return left < Millis(0) ? Millis(0) : left;
}

void EventLoop::run_once(Millis timeout) {
  // Poll rings first; sleep only when every one of them agreed to wake us.
  bool worked = false;
  for (size_t i = 0; i < pollers_.size(); ++i) worked |= pollers_[i]->poll();
  if (!worked && timeout != Millis(0)) {
    Micros spin(0);
    for (Poller* p : pollers_) spin = std::max(spin, p->spin_budget());
    if (spin > Micros(0)) {
      auto until = Clock::now() + spin;
      while (!worked && Clock::now() < until) {
        for (size_t i = 0; i < pollers_.size(); ++i) worked |= pollers_[i]->poll();
        if (!worked) __builtin_ia32_pause();
      }
    }
    if (!worked) {
      for (size_t i = 0; i < pollers_.size(); ++i) worked |= !pollers_[i]->prepare_sleep();
    }
  }
  int wait_ms = 0;
  if (!worked && deferred_.empty()) {
    Millis next = until_next_timer();
    if (timeout >= Millis(0) && (next < Millis(0) || timeout < next)) next = timeout;
    wait_ms = next < Millis(0) ? -1 : static_cast<int>(std::min<int64_t>(next.count(), 1 << 30));
  }
  epoll_event events[kBatch];
  int n = ::epoll_wait(epoll_.get(), events, kBatch, wait_ms);
  refresh_time();
  ready_.clear();
  bool posted = false;
  for (int i = 0; i < n; ++i) {
    if (events[i].data.ptr == nullptr) {
      uint64_t count;
      [[maybe_unused]] ssize_t r = ::read(wake_.get(), &count, sizeof count);
      posted = true;
    } else {
      uint32_t bits = events[i].events;  // a packed field: no reference to it
      ready_.emplace_back(static_cast<IoHandler*>(events[i].data.ptr), bits);
    }
  }
  for (size_t i = 0; i < ready_.size(); ++i) {
    if (ready_[i].first != nullptr) ready_[i].first->on_ready(ready_[i].second);
  }
  ready_.clear();
  if (posted) {
    std::vector<std::function<void()>> work;
    {
      std::lock_guard lock(posted_mutex_);
      work.swap(posted_);
    }
    for (auto& f : work) f();
  }
  fire_timers();
  while (!deferred_.empty()) {
    std::vector<std::function<void()>> work;
    work.swap(deferred_);
    for (auto& f : work) f();
  }
  for (size_t i = 0; i < pollers_.size(); ++i) pollers_[i]->end_turn();
}

void EventLoop::fire_timers() {
  while (!heap_.empty() && heap_[0]->queued_ <= now_) {
    Timer* timer = heap_[0];
    if (timer->due_ > now_) {  // re-armed later than queued: sink it to its real place
      timer->queued_ = timer->due_;
      heap_down(0);
      continue;
    }
    heap_remove(0);
    timer->armed_ = false;
    timer->fire_();
  }
}

void EventLoop::heap_up(size_t i) {
  while (i > 0) {
    size_t parent = (i - 1) / 2;
    if (heap_[parent]->queued_ <= heap_[i]->queued_) break;
    std::swap(heap_[parent], heap_[i]);
    heap_[parent]->heap_index_ = parent;
    heap_[i]->heap_index_ = i;
    i = parent;
  }
}

void EventLoop::heap_down(size_t i) {
  for (;;) {
    size_t least = i, left = 2 * i + 1, right = left + 1;
    if (left < heap_.size() && heap_[left]->queued_ < heap_[least]->queued_) least = left;
    if (right < heap_.size() && heap_[right]->queued_ < heap_[least]->queued_) least = right;
    if (least == i) return;
    std::swap(heap_[least], heap_[i]);
    heap_[least]->heap_index_ = least;
    heap_[i]->heap_index_ = i;
    i = least;
  }
}

void EventLoop::heap_remove(size_t i) {
  Timer* removed = heap_[i];
  Timer* last = heap_.back();
  heap_.pop_back();
  removed->heap_index_ = SIZE_MAX;
  if (last == removed) return;
  heap_[i] = last;
  last->heap_index_ = i;
  heap_up(i);
  heap_down(last->heap_index_);
}

void Timer::arm(EventLoop& loop, Millis delay) {
  BH_CHECK(loop_ == nullptr || loop_ == &loop || !armed_);
  due_ = loop.now_ + delay;
  loop_ = &loop;
  armed_ = true;
  if (heap_index_ == SIZE_MAX) {
    queued_ = due_;
    heap_index_ = loop.heap_.size();
    loop.heap_.push_back(this);
    loop.heap_up(heap_index_);
  } else if (due_ < queued_) {
    queued_ = due_;
    loop.heap_up(heap_index_);
  }
}

void Timer::cancel() {
  if (loop_ != nullptr && heap_index_ != SIZE_MAX) loop_->heap_remove(heap_index_);
  armed_ = false;
}

}  // namespace bulkhead::loop
