// Numbers between two looks at a server, and how they fit into eighty columns.
#include "top/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bulkhead::top {
namespace {

std::string status(int pid, int requests, double cpu, const char* times, const char* name = "a") {
  return R"({"pid":)" + std::to_string(pid) +
         R"(,"uptime_s":100,"loops":2,"version":"1","sites":[{"id":1,"name":")" + name +
         R"(","kind":"pool","state":"up","requests":{"5xx":0,"all":)" + std::to_string(requests) +
         R"(},"cpu_s":)" + std::to_string(cpu) +
         R"(,"memory_bytes":1048576,"workers_busy":1,"workers_idle":2,"queued":0,)" +
         R"("latency":{"up_to_s":[0.1,1.0],"requests":)" + times + "}}]}";
}

TEST(Sample, IsTheDifferenceOfTwoLooks) {
  const Clock::time_point at{};
  auto before = parse_status(status(1, 100, 1, "[100,0,0]"), at);
  auto after = parse_status(status(1, 300, 2, "[100,200,0]"), at + std::chrono::seconds(2));
  ASSERT_TRUE(before && after);
  auto rows = rows_between(before, *after);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_DOUBLE_EQ(rows[0].requests_s, 100);
  EXPECT_DOUBLE_EQ(rows[0].cpu_percent, 50);
  EXPECT_NEAR(*rows[0].p50_s, 0.55, 0.001);  // only of the new requests
  EXPECT_EQ(rows[0].workers, 3u);
}

TEST(Sample, OfAnotherRunCountsFromItsStart) {
  const Clock::time_point at{};
  auto before = parse_status(status(1, 900, 9, "[900,0,0]"), at);
  auto after = parse_status(status(2, 300, 2, "[300,0,0]"), at + std::chrono::seconds(2));
  EXPECT_DOUBLE_EQ(rows_between(before, *after)[0].requests_s, 3);
  EXPECT_DOUBLE_EQ(rows_between({}, *after)[0].requests_s, 3);
}

TEST(Sample, IsNothingWithoutAStatus) {
  EXPECT_FALSE(parse_status("", {}));
  EXPECT_FALSE(parse_status("[]", {}));
  EXPECT_FALSE(parse_status(R"({"pid":1})", {}));
  EXPECT_TRUE(parse_status(R"({"pid":1,"sites":[3,{"name":[]}]})", {}));
}

TEST(Sample, HasNamesThatNoTerminalObeys) {
  auto sample = parse_status(status(1, 1, 1, "[1,0,0]", "\\u001b[2Jx"), {});
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->sites.begin()->first, "?[2Jx");
}

TEST(Quantile, IsLinearWithinAClassAndOpenAboveTheLast) {
  EXPECT_FALSE(quantile({0, 0, 0}, {0.1, 1}, 0.5));
  EXPECT_FALSE(quantile({1, 1}, {0.1, 1}, 0.5));
  EXPECT_NEAR(*quantile({10, 0, 0}, {0.1, 1}, 0.5), 0.05, 1e-9);
  EXPECT_NEAR(*quantile({50, 50, 0}, {0.1, 1}, 0.99), 0.982, 1e-9);
  EXPECT_TRUE(std::isinf(*quantile({1, 0, 9}, {0.1, 1}, 0.5)));
}

TEST(Table, SortsTheLargestFirstAndFiltersByAnyCase) {
  std::vector<Row> rows(3);
  rows[0].name = "Shop";
  rows[1].name = "blog";
  rows[2].name = "shoes";
  rows[1].requests_s = 5;
  rows[2].memory = 7;
  auto by_requests = rows, by_memory = rows, filtered = rows;
  arrange(&by_requests, Sort::kRequests, "");
  EXPECT_EQ(by_requests[0].name, "blog");
  arrange(&by_memory, Sort::kMemory, "");
  EXPECT_EQ(by_memory[0].name, "shoes");
  arrange(&filtered, Sort::kName, "SHO");
  ASSERT_EQ(filtered.size(), 2u);
  EXPECT_EQ(filtered[0].name, "Shop");
}

TEST(Table, FitsEightyColumnsWhateverIsInIt) {
  Row row;
  row.name = std::string(200, 'x');
  row.state = "replacing";
  row.requests_s = row.errors_s = row.cpu_percent = 123'456'789;
  row.memory = uint64_t{1} << 60;
  row.busy = row.workers = row.queued = 100'000;
  row.p50_s = 9.9999;
  row.p99_s = INFINITY;
  row.has_pool = true;
  EXPECT_EQ(heading(80).size(), 80u);
  EXPECT_EQ(line_of(row, 80).size(), 80u);
  EXPECT_EQ(line_of(row, 132).size(), 132u);
  for (const std::string& line : summary({}, {row, row}, 80)) EXPECT_LE(line.size(), 80u);
}

TEST(Table, WritesShortNumbers) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.25), "0.2");
  EXPECT_EQ(short_number(950), "950");
  EXPECT_EQ(short_number(12'345), "12k");
  EXPECT_EQ(short_number(34e6), "34M");
  EXPECT_EQ(short_time({}), "-");
  EXPECT_EQ(short_time(0.00042), "0.42");
  EXPECT_EQ(short_time(2.5), "2500");
}

}  // namespace
}  // namespace bulkhead::top
