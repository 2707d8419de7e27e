#include "front/log_shares.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::front {
namespace {

using loop::Millis;

TEST(LogShare, LetsABurstPassAndThenARate) {
  loop::Clock::time_point now{};
  LogShare share(1, now);
  size_t written = 0;
  while (share.take(2048, now)) written += 2048;
  EXPECT_EQ(written, kLogBurstBytes);
  for (int i = 0; i < 10'000; ++i) {  // ten seconds
    now += Millis(1);
    while (share.take(100, now)) written += 100;
  }
  EXPECT_LE(written, kLogBurstBytes + 10 * kLogBytesPerSecond);
  EXPECT_GT(written, kLogBurstBytes + 10 * kLogBytesPerSecond - 2048);
}

TEST(LogShare, ComesBackWholeAndNotMore) {
  loop::Clock::time_point now{};
  LogShare share(4, now);
  EXPECT_TRUE(share.is_whole(now));
  EXPECT_FALSE(share.take(kLogBurstBytes / 4 + 1, now));
  EXPECT_TRUE(share.take(kLogBurstBytes / 4, now));
  EXPECT_FALSE(share.take(1, now));
  now += std::chrono::hours(24 * 365);
  EXPECT_TRUE(share.is_whole(now));
  EXPECT_FALSE(share.take(kLogBurstBytes / 4 + 1, now));
}

TEST(LogShares, OneSitesFloodIsReportedAndLeavesTheOthersAlone) {
  auto loop = std::move(*loop::EventLoop::create());
  std::vector<std::pair<std::string, uint64_t>> reports;
  LogShares shares(*loop, 1, [&](const LogShares::Place& place, uint64_t lines) {
    reports.emplace_back(place.address, lines);
  });
  auto place = [] { return LogShares::Place{1, {}, "unix:/loud.sock"}; };
  uint64_t suppressed = 0;
  for (int i = 0; i < 100; ++i) suppressed += shares.take(1, 1u << 20, place) ? 0 : 1;
  EXPECT_EQ(suppressed, 96U);
  EXPECT_TRUE(shares.take(2, 1u << 20, place));
  EXPECT_TRUE(reports.empty());
  const auto until = loop::Clock::now() + std::chrono::seconds(5);
  while (reports.empty() && loop::Clock::now() < until) loop->run_once(Millis(50));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0], std::pair(std::string("unix:/loud.sock"), suppressed));
}

}  // namespace
}  // namespace bulkhead::front
