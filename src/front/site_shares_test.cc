// A site's share of front: taken, given back, refused at its limit, and nobody else's.
#include "front/site_shares.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace bulkhead::front {
namespace {

config::Snapshot snapshot(uint32_t connections, uint32_t queue, uint64_t buffer) {
  config::Snapshot out;
  config::Site site;
  site.id = 1;
  site.connections_max = connections;
  site.queue_max = queue;
  site.buffer_max = buffer;
  out.sites.push_back(site);
  site = {};
  site.id = 2;
  out.sites.push_back(site);
  return out;
}

TEST(SiteShare, IsRefusedAtItsLimitAndNotBefore) {
  SiteShares shares;
  shares.configure(snapshot(2, 0, 0), 100);
  SiteHold a, b, c, other;
  EXPECT_EQ(a.take(shares.of(1)), nullptr);
  EXPECT_EQ(a.take(shares.of(1)), nullptr);  // the same place, not another
  EXPECT_EQ(b.take(shares.of(1)), nullptr);
  ASSERT_NE(c.take(shares.of(1)), nullptr);
  EXPECT_EQ(other.take(shares.of(2)), nullptr);
  EXPECT_EQ(shares.of(1).requests, 2u);
  a.release();
  EXPECT_EQ(c.take(shares.of(1)), nullptr);
}

TEST(SiteShare, IsHalfOfTheConnectionsByDefault) {
  SiteShares shares;
  shares.configure(snapshot(0, 0, 0), 100);
  EXPECT_EQ(shares.of(1).requests_max, 50u);
  EXPECT_EQ(shares.of(1).queued_max, UINT32_MAX);
  EXPECT_EQ(shares.of(1).buffered_max, 64u << 20);
}

TEST(SiteShare, CountsBytesUntilTheRequestEnds) {
  SiteShares shares;
  shares.configure(snapshot(0, 0, 1000), 100);
  SiteHold late;
  {
    SiteHold a;
    ASSERT_EQ(a.take(shares.of(1)), nullptr);
    a.set_buffered(1500);
    a.set_buffered(999);
    EXPECT_EQ(shares.of(1).buffered, 999u);
    SiteHold b;
    EXPECT_EQ(b.take(shares.of(1)), nullptr);
    a.set_buffered(1000);
    ASSERT_NE(late.take(shares.of(1)), nullptr);
  }
  EXPECT_EQ(shares.of(1).buffered, 0u);
  EXPECT_EQ(shares.of(1).requests, 0u);
  EXPECT_EQ(late.take(shares.of(1)), nullptr);
}

TEST(SiteShare, MovesToAnotherSite) {
  SiteShares shares;
  SiteHold a;
  EXPECT_EQ(a.take(shares.of(1)), nullptr);
  a.set_buffered(5);
  EXPECT_EQ(a.take(shares.of(2)), nullptr);
  EXPECT_EQ(shares.of(1).requests + shares.of(1).buffered, 0u);
  EXPECT_EQ(shares.of(2).requests, 1u);
}

TEST(SiteShare, TellsOfARefusalOnceInASecond) {
  SiteShare share;
  EXPECT_TRUE(share.may_tell(10));
  EXPECT_FALSE(share.may_tell(10));
  EXPECT_TRUE(share.may_tell(11));
}

TEST(SiteShare, StaysExactOverThreads) {
  SiteShares shares;
  shares.configure(snapshot(3, 0, 0), 100);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      LoopShares mine(shares);
      for (int i = 0; i < 20'000; ++i) {
        SiteHold hold;
        if (hold.take(mine.of(1)) != nullptr) continue;
        hold.set_buffered(static_cast<uint64_t>(i));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(shares.of(1).requests, 0u);
  EXPECT_EQ(shares.of(1).buffered, 0u);
}

}  // namespace
}  // namespace bulkhead::front
