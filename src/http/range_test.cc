#include "http/range.h"

#include <gtest/gtest.h>

#include "http/conditional.h"

namespace bulkhead::http {
namespace {

struct RangeCase {
  std::string_view value;
  RangeAnswer answer;
  std::vector<std::pair<uint64_t, uint64_t>> want = {};
};

TEST(Range, JudgesAsNginx) {
  constexpr auto kWhole = RangeAnswer::kWhole;
  constexpr auto kRanges = RangeAnswer::kRanges;
  constexpr auto kBad = RangeAnswer::kUnsatisfiable;
  const RangeCase cases[] = {
      {"bytes=0-4", kRanges, {{0, 5}}},
      {"bytes=0-4,10-12,4-6", kRanges, {{0, 5}, {10, 13}, {4, 7}}},
      {"bytes=-5", kRanges, {{45, 50}}},
      {"bytes=-0", kBad},
      {"bytes=0-", kRanges, {{0, 50}}},
      {"bytes=50-", kBad},
      {"bytes=49-", kRanges, {{49, 50}}},
      {"bytes=60-70", kBad},
      {"bytes=5-4", kBad},
      {"bytes=0-9999", kRanges, {{0, 50}}},
      {"bytes=-9999", kRanges, {{0, 50}}},
      {"bytes=0-0,60-70", kRanges, {{0, 1}}},
      {"bytes=60-70,80-", kBad},
      {"bytes=0-49,0-49", kWhole},
      {"bytes=0-24,25-49", kRanges, {{0, 25}, {25, 50}}},
      {"bytes=0-25,25-49", kWhole},
      {"bytes=", kWhole},
      {"bytes=a", kBad},
      {"bytes= 0 - 4 ", kRanges, {{0, 5}}},
      {"bytes=0-4,", kBad},
      {"bytes=,0-4", kBad},
      {"bytes=0-4 ,\t6-7", kBad},
      {"Bytes=0-4", kRanges, {{0, 5}}},
      {"byte=0-4", kWhole},
      {"bytes 0-4", kWhole},
      {"bytes=0-4x", kBad},
      {"bytes=99999999999999999999-", kBad},
      {"bytes=0-99999999999999999999", kBad},
      {"bytes=-99999999999999999999", kBad},
      {"bytes=-", kBad},
      {"bytes=--5", kBad},
      {"bytes=0--1", kBad},
      {"bytes=4-2,0-1", kRanges, {{0, 2}}},
      {"bytes=0 1-4", kBad},
      {"bytes=-  5", kBad},
      {"bytes=-5 ", kRanges, {{45, 50}}},
      {"bytes=-0,0-1", kRanges, {{0, 2}}},
  };
  for (const RangeCase& c : cases) {
    std::vector<ByteRange> out;
    ASSERT_EQ(parse_ranges(c.value, 50, UINT32_MAX, out), c.answer) << c.value;
    if (c.answer != kRanges) continue;
    ASSERT_EQ(out.size(), c.want.size()) << c.value;
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(out[i].start, c.want[i].first);
      EXPECT_EQ(out[i].end, c.want[i].second);
    }
  }
}

TEST(Range, RespectsMaxRangesAndEmptyContent) {
  std::vector<ByteRange> out;
  EXPECT_EQ(parse_ranges("bytes=0-1,2-3", 50, 2, out), RangeAnswer::kRanges);
  EXPECT_EQ(parse_ranges("bytes=0-1,2-3", 50, 1, out), RangeAnswer::kWhole);
  EXPECT_EQ(parse_ranges("bytes=0-1", 50, 0, out), RangeAnswer::kWhole);
  EXPECT_EQ(parse_ranges("bytes=0-", 0, 9, out), RangeAnswer::kWhole);
}

TEST(Multipart, FramesAsNginx) {
  const MultipartRanges parts(1, "text/plain", 50);
  const std::vector<ByteRange> ranges = {{0, 5}, {10, 13}};
  EXPECT_EQ(parts.content_type(), "multipart/byteranges; boundary=00000000000000000001");
  EXPECT_EQ(parts.part_header(ranges[0]),
            "\r\n--00000000000000000001\r\nContent-Type: text/plain\r\n"
            "Content-Range: bytes 0-4/50\r\n\r\n");
  EXPECT_EQ(parts.end(), "\r\n--00000000000000000001--\r\n");
  EXPECT_EQ(parts.total_size(ranges), 204u);
}

TEST(Etag, IsHexOfTimeAndSize) { EXPECT_EQ(make_etag(0x6563c1a0, 500), "\"6563c1a0-1f4\""); }

TEST(Etag, IsFoundInLists) {
  constexpr auto kStrong = EtagCompare::kStrong;
  constexpr auto kWeak = EtagCompare::kWeak;
  EXPECT_TRUE(etag_list_matches("*", "", kStrong));
  EXPECT_TRUE(etag_list_matches("\"a\"", "\"a\"", kStrong));
  EXPECT_TRUE(etag_list_matches("\"x\", \"a\" ,\"b\"", "\"a\"", kStrong));
  EXPECT_FALSE(etag_list_matches("W/\"a\"", "\"a\"", kStrong));
  EXPECT_TRUE(etag_list_matches("\"x\",W/\"a\"", "\"a\"", kWeak));
  EXPECT_TRUE(etag_list_matches("\"a\"", "W/\"a\"", kWeak));
  EXPECT_FALSE(etag_list_matches("\"a\"x", "\"a\"", kWeak));
  EXPECT_FALSE(etag_list_matches("\"a\"", "", kWeak));
  EXPECT_FALSE(etag_list_matches("", "\"a\"", kWeak));
}

constexpr std::string_view kDate = "Mon, 23 Nov 2026 12:00:00 GMT";
constexpr int64_t kWhen = 1795435200;

Conditions with_file() {
  Conditions c;
  c.etag = "\"e\"";
  c.last_modified = kWhen;
  return c;
}

TEST(Conditions, AnswerNotModified) {
  Conditions c = with_file();
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c.if_modified_since = kDate;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kNotModified);
  c.last_modified = kWhen - 1;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c.rule = IfModifiedSinceRule::kBefore;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kNotModified);
  c.last_modified = kWhen + 1;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c = with_file();
  c.if_modified_since = "nonsense";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c.if_modified_since = kDate;
  c.rule = IfModifiedSinceRule::kOff;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
}

TEST(Conditions, NeedBothDateAndEtagToMatch) {
  Conditions c = with_file();
  c.if_none_match = "W/\"e\"";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kNotModified);
  c.if_modified_since = "Sun, 22 Nov 2026 12:00:00 GMT";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c.if_modified_since = kDate;
  c.if_none_match = "\"x\"";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
}

TEST(Conditions, AnswerPreconditionFailed) {
  Conditions c = with_file();
  c.if_match = "\"x\"";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kPreconditionFailed);
  c.if_match = "\"e\"";
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c = with_file();
  c.if_unmodified_since = kDate;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kProceed);
  c.last_modified = kWhen + 1;
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kPreconditionFailed);
  c.last_modified.reset();
  EXPECT_EQ(evaluate_conditions(c), ConditionAnswer::kPreconditionFailed);
}

TEST(IfRange, TakesEtagOrDate) {
  EXPECT_TRUE(if_range_holds("\"e\"", "\"e\"", kWhen));
  EXPECT_FALSE(if_range_holds("\"x\"", "\"e\"", kWhen));
  EXPECT_TRUE(if_range_holds(kDate, "\"e\"", kWhen));
  EXPECT_FALSE(if_range_holds(kDate, "\"e\"", kWhen + 1));
  EXPECT_FALSE(if_range_holds(kDate, "", std::nullopt));
}

}  // namespace
}  // namespace bulkhead::http
