// Counts by site name: over loops and fronts, after a front's end, and whatever a front wrote.
#include "master/site_counters.h"

#include <gtest/gtest.h>

#include <memory>

#include "sys/shared_memory.h"

namespace bulkhead::master {
namespace {

std::vector<config::Site> sites(std::vector<std::pair<uint32_t, std::string>> names) {
  std::vector<config::Site> out;
  for (auto& [id, name] : names) {
    out.emplace_back();
    out.back().id = id;
    out.back().name = name;
  }
  return out;
}

class Counters : public testing::Test {
 protected:
  // The memory of a front as the front has it.
  ipc::SiteBlock* start(uint32_t front, uint32_t loops) {
    auto fd = counters_.begin(front, loops);
    EXPECT_TRUE(fd);
    auto mapped = sys::Mapping::map(*fd, ipc::counters_bytes(loops), "test");
    EXPECT_TRUE(mapped);
    maps_.push_back(std::move(*mapped));
    return static_cast<ipc::SiteBlock*>(maps_.back().data());
  }
  static void write(ipc::SiteBlock* block, uint32_t site, uint64_t requests, uint32_t active) {
    block->requests[0] = requests;
    block->active = active;
    block->site = site;
  }
  SiteCounters counters_;
  std::vector<sys::Mapping> maps_;
};

TEST_F(Counters, AddsUpLoopsAndFronts) {
  counters_.know(sites({{1, "a"}, {2, "b"}}));
  auto* first = start(1, 2);
  write(&first[0], 1, 10, 1);
  write(&first[1], 2, 5, 0);
  write(&first[ipc::kSiteBlocks], 1, 100, 2);
  auto* second = start(2, 1);
  write(&second[0], 1, 1000, 4);
  auto totals = counters_.totals();
  EXPECT_EQ(totals.at("a").requests[0], 1110u);
  EXPECT_EQ(totals.at("a").active, 7u);
  EXPECT_EQ(totals.at("b").requests[0], 5u);
}

TEST_F(Counters, KeepsWhatAFrontThatEndedHasCountedButNotWhatItDid) {
  counters_.know(sites({{1, "a"}}));
  write(start(1, 1), 1, 10, 3);
  counters_.end(1);
  write(start(2, 1), 1, 7, 1);
  EXPECT_EQ(counters_.totals().at("a").requests[0], 17u);
  EXPECT_EQ(counters_.totals().at("a").active, 1u);
  EXPECT_EQ(counters_.memory().size(), 1u);
}

TEST_F(Counters, GoOnUnderAnotherNumberAndEndWithTheName) {
  counters_.know(sites({{1, "a"}, {2, "b"}}));
  auto* blocks = start(1, 1);
  write(&blocks[0], 1, 10, 0);
  write(&blocks[1], 2, 4, 0);
  counters_.know(sites({{3, "a"}}));
  write(&blocks[2], 3, 1, 0);
  EXPECT_EQ(counters_.totals().at("a").requests[0], 11u);
  EXPECT_FALSE(counters_.totals().contains("b"));
}

TEST_F(Counters, TakesAnyNumbersFromAFront) {
  counters_.know(sites({{1, "a"}}));
  auto* blocks = start(1, 1);
  for (uint32_t i = 0; i < ipc::kSiteBlocks; ++i) write(&blocks[i], i % 2 + 1, UINT64_MAX, ~0u);
  auto totals = counters_.totals();
  EXPECT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals.at("a").requests[0], uint64_t{0} - ipc::kSiteBlocks / 2);
}

}  // namespace
}  // namespace bulkhead::master
