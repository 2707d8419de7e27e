#include "loop/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

namespace bulkhead::loop {
namespace {

struct Counter : IoHandler {
  int calls = 0;
  std::function<void()> then;
  void on_ready(uint32_t) override {
    ++calls;
    if (then) then();
  }
};

TEST(EventLoop, TimersFireInOrderAndNotWhenCancelled) {
  auto loop = EventLoop::create().value();
  std::vector<int> fired;
  Timer a([&] { fired.push_back(1); }), b([&] { fired.push_back(2); }),
      c([&] { fired.push_back(3); });
  b.arm(*loop, Millis(2));
  a.arm(*loop, Millis(1));
  c.arm(*loop, Millis(1));
  c.cancel();
  while (fired.size() < 2) loop->run_once(Millis(50));
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
  EXPECT_FALSE(c.armed());
}

TEST(EventLoop, RearmingLaterDelaysTheTimer) {
  auto loop = EventLoop::create().value();
  int fired = 0;
  Timer a([&] { ++fired; });
  a.arm(*loop, Millis(1));
  a.arm(*loop, Millis(3'600'000));
  auto until = Clock::now() + Millis(20);
  while (Clock::now() < until) loop->run_once(Millis(5));
  EXPECT_EQ(fired, 0);
  EXPECT_TRUE(a.armed());
}

TEST(EventLoop, AHandlerRemovedInTheSameBatchIsNotCalled) {
  auto loop = EventLoop::create().value();
  int p[2], q[2];
  ASSERT_EQ(::pipe(p), 0);
  ASSERT_EQ(::pipe(q), 0);
  sys::Fd pr(p[0]), pw(p[1]), qr(q[0]), qw(q[1]);
  Counter first, second;
  first.then = [&] { loop->remove(qr, &second); };
  second.then = [&] { loop->remove(pr, &first); };
  ASSERT_TRUE(loop->add(pr, EPOLLIN, &first));
  ASSERT_TRUE(loop->add(qr, EPOLLIN, &second));
  ASSERT_EQ(::write(pw.get(), "x", 1), 1);
  ASSERT_EQ(::write(qw.get(), "x", 1), 1);
  loop->run_once(Millis(100));
  EXPECT_EQ(first.calls + second.calls, 1);
}

TEST(EventLoop, PostedWorkRunsFromAnotherThread) {
  auto loop = EventLoop::create().value();
  bool ran = false;
  std::thread other([&] { loop->post([&] { ran = true; }); });
  while (!ran) loop->run_once(Millis(100));
  other.join();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace bulkhead::loop
