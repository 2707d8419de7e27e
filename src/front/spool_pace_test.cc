#include "front/spool_pace.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace bulkhead::front {
namespace {

class SpoolPaceTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = std::move(*loop::EventLoop::create());
    pace_ = std::make_unique<SpoolPace>(*loop_);
  }
  // Copies all that the site may copy now.
  uint64_t copy(uint32_t site) {
    const uint64_t bytes = pace_->allowance(site);
    pace_->spend(site, bytes);
    return bytes;
  }
  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<SpoolPace> pace_;
};

TEST_F(SpoolPaceTest, InOneTurnASiteCopiesItsBurstAndNoMore) {
  EXPECT_EQ(SpoolPace::kBurstBytes, copy(1));
  EXPECT_EQ(0u, copy(1));  // the loop's clock stands within a turn
  EXPECT_EQ(SpoolPace::kBurstBytes, copy(2)) << "another site has its own";
}

TEST_F(SpoolPaceTest, AllowanceComesBackWithTimeUpToTheBurst) {
  copy(1);
  const auto began = loop_->now();
  while (loop_->now() - began < loop::Millis(1)) loop_->refresh_time();
  const uint64_t first = pace_->allowance(1);
  EXPECT_GE(first, SpoolPace::kBytesPerMs);
  EXPECT_LE(first, SpoolPace::kBurstBytes);
  while (loop_->now() - began < loop::Millis(20)) loop_->refresh_time();
  EXPECT_EQ(SpoolPace::kBurstBytes, pace_->allowance(1));
}

TEST_F(SpoolPaceTest, WhoWaitsIsResumedInTheOrderOfAsking) {
  copy(1);
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    pace_->wait(1, [this, &order, name] {
      order += name;
      copy(1);
    });
  }
  const auto began = loop_->now();
  while (order.size() < 3 && loop_->now() - began < std::chrono::seconds(2)) {
    const size_t before = order.size();
    loop_->run_once(loop::Millis(5));
    EXPECT_LE(order.size(), before + 1) << "one used all of it: the others wait for the next";
  }
  EXPECT_EQ("abc", order);
}

TEST_F(SpoolPaceTest, AWaiterThatAsksAgainStandsBehindTheOthers) {
  copy(1);
  std::string order;
  pace_->wait(1, [this, &order] {
    order += 'a';
    pace_->wait(1, [&order] { order += 'A'; });
  });
  pace_->wait(1, [&order] { order += 'b'; });
  const auto began = loop_->now();
  while (order.size() < 3 && loop_->now() - began < std::chrono::seconds(2)) {
    loop_->run_once(loop::Millis(5));
  }
  EXPECT_EQ("abA", order);
}

TEST_F(SpoolPaceTest, ForgetsSitesThatWantNothing) {
  for (uint32_t site = 0; site < 100; ++site) copy(site);
  EXPECT_EQ(100u, pace_->known());
  const auto began = loop_->now();
  while (pace_->known() > 0 && loop_->now() - began < std::chrono::seconds(2)) {
    loop_->run_once(loop::Millis(5));
  }
  EXPECT_EQ(0u, pace_->known());
}

}  // namespace
}  // namespace bulkhead::front
