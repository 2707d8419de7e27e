// Requests are counted for their site, by status and by time, and published last.
#include "front/site_counters.h"

#include <gtest/gtest.h>

#include <memory>

namespace bulkhead::front {
namespace {

using std::chrono::microseconds;

class SiteCounters : public testing::Test {
 protected:
  std::unique_ptr<ipc::SiteBlock[]> blocks_{new ipc::SiteBlock[ipc::kSiteBlocks]};
  LoopCounters counters_;
};

TEST_F(SiteCounters, CountsEachRequestOnceInItsClasses) {
  counters_.use(blocks_.get());
  for (auto [status, micros] : {std::pair{200, 500},
                                {204, 501},
                                {304, 1000},
                                {404, 3000},
                                {499, 10'000'000},
                                {502, 10'000'001},
                                {0, 0}}) {
    counters_.count(7, {static_cast<uint16_t>(status), 10, 100, microseconds(micros), 1234});
  }
  const ipc::SiteBlock& block = blocks_[0];
  EXPECT_EQ(block.site, 7u);
  EXPECT_EQ(block.requests[0], 3u);
  EXPECT_EQ(block.requests[1], 1u);
  EXPECT_EQ(block.requests[2], 2u);
  EXPECT_EQ(block.requests[3], 1u);
  EXPECT_EQ(block.bytes_in, 70u);
  EXPECT_EQ(block.bytes_out, 700u);
  EXPECT_EQ(block.last_s, 1234u);
  EXPECT_EQ(block.time_us, 500u + 501 + 1000 + 3000 + 10'000'000 + 10'000'001);
  EXPECT_EQ(block.times[0], 2u);  // a bound belongs to the class below it
  EXPECT_EQ(block.times[1], 2u);
  EXPECT_EQ(block.times[3], 1u);
  EXPECT_EQ(block.times[13], 1u);
  EXPECT_EQ(block.times[14], 1u);
}

TEST_F(SiteCounters, GivesEachSiteABlockInOrderOfFirstUse) {
  counters_.use(blocks_.get());
  counters_.count(900, {200});
  counters_.count(3, {200});
  counters_.count(900, {200});
  EXPECT_EQ(blocks_[0].site, 900u);
  EXPECT_EQ(blocks_[0].requests[0], 2u);
  EXPECT_EQ(blocks_[1].site, 3u);
  EXPECT_EQ(blocks_[2].site, 0u);
}

TEST_F(SiteCounters, PublishesNothingForNoSiteNorWithoutMemory) {
  counters_.count(1, {200});
  counters_.use(blocks_.get());
  counters_.count(0, {200});
  counters_.count(1u << 30, {200});
  EXPECT_EQ(blocks_[0].site, 0u);
  EXPECT_EQ(blocks_[0].requests[0], 0u);
}

TEST_F(SiteCounters, ServesMoreSitesThanItHasRoomFor) {
  counters_.use(blocks_.get());
  for (uint32_t site = 1; site <= ipc::kSiteBlocks + 5; ++site) counters_.count(site, {200});
  counters_.count(1, {200});
  EXPECT_EQ(blocks_[0].requests[0], 2u);
  EXPECT_EQ(blocks_[ipc::kSiteBlocks - 1].site, ipc::kSiteBlocks);
}

}  // namespace
}  // namespace bulkhead::front
