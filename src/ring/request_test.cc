#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "ring/front_ring.h"
#include "ring/worker_ring.h"

namespace bulkhead::ring {
namespace {

TEST(Request, ArrivesAsItWasWritten) {
  std::vector<unsigned char> area(4096);
  RequestWriter writer(area);
  writer.add("SCRIPT_NAME", "/index.php");
  writer.add("EMPTY", "");
  writer.add("SCRIPT_NAME", "again");
  writer.set_peer(std::string_view("\x7f\0\0\1", 4));
  size_t bytes = writer.finish("a=1&b=2", 1000, kFlagAuthorizer);
  ASSERT_TRUE(writer.ok());

  RequestView view;
  ASSERT_TRUE(view.open({area.data(), bytes}));
  EXPECT_EQ(view.params_count(), 3U);
  EXPECT_EQ(view.body_bytes(), 1000U);
  EXPECT_EQ(view.inline_body(), "a=1&b=2");
  EXPECT_EQ(view.flags(), uint32_t{kFlagAuthorizer});
  EXPECT_EQ(view.peer(), std::string_view("\x7f\0\0\1", 4));
  std::string_view name, value;
  ASSERT_TRUE(view.next(name, value));
  EXPECT_EQ(name, "SCRIPT_NAME");
  EXPECT_EQ(value, "/index.php");
  EXPECT_EQ(value.data()[value.size()], '\0');
  EXPECT_EQ(name.data()[name.size()], '\0');
  ASSERT_TRUE(view.next(name, value));
  EXPECT_EQ(value, "");
  ASSERT_TRUE(view.next(name, value));
  EXPECT_EQ(value, "again");
  EXPECT_FALSE(view.next(name, value));
}

TEST(Request, ThatFitsExactlyIsWrittenAndOneByteMoreIsRefused) {
  std::vector<unsigned char> area(sizeof(RequestHeader) + sizeof(NameValue) + 2 + 3 + 4 + 5);
  for (bool fits : {true, false}) {
    RequestWriter writer(std::span<unsigned char>(area).first(area.size() - (fits ? 0 : 1)));
    writer.add("abc", "defg");
    writer.finish("body!", 5, 0);
    EXPECT_EQ(writer.ok(), fits);
  }
  RequestWriter small(
      std::span<unsigned char>(area).first(sizeof(RequestHeader) + sizeof(NameValue) + 8));
  small.add("abc", "defg");
  EXPECT_FALSE(small.ok());
  small.add("", "");  // once refused, always refused
  EXPECT_FALSE(small.ok());
}

TEST(Request, WithImpossibleSizesIsMalformed) {
  struct Case {
    const char* mistake;
    RequestHeader header;
  };
  const Case cases[] = {
      {"params beyond the area", {200, 1, 0, 0, 0}},
      {"params near 2^32", {0xffffffff, 1, 0, 0, 0}},
      {"body beyond the area", {10, 1, 500, 500, 0}},
      {"sum overflows 32 bits", {100, 1, ~uint64_t{0}, 0xffffffff, 0}},
      {"more inline than total", {0, 0, 3, 4, 0}},
      {"an address of 5 bytes", {0, 0, 0, 0, 0, 5, {}}},
      {"an address beyond the header", {0, 0, 0, 0, 0, 17, {}}},
  };
  for (const Case& c : cases) {
    std::vector<unsigned char> area(128);
    std::memcpy(area.data(), &c.header, sizeof c.header);
    RequestView view;
    EXPECT_FALSE(view.open(area)) << c.mistake;
    EXPECT_EQ(view.inline_body(), "");
  }
  RequestView view;
  EXPECT_FALSE(view.open({}));
}

TEST(Request, RecordThatLeavesTheParamsEndsTheIteration) {
  std::vector<unsigned char> area(256);
  RequestHeader header{40, 5, 0, 0, 0};
  std::memcpy(area.data(), &header, sizeof header);
  for (uint32_t size : {31U, 40U, 0xfffffff0U, 0xffffffffU}) {
    NameValue sizes{size, 0};
    std::memcpy(area.data() + sizeof header, &sizes, sizeof sizes);
    RequestView view;
    ASSERT_TRUE(view.open(area));
    std::string_view name, value;
    EXPECT_FALSE(view.next(name, value)) << size;
    std::swap(sizes.name_size, sizes.value_size);
    std::memcpy(area.data() + sizeof header, &sizes, sizeof sizes);
    view.rewind();
    EXPECT_FALSE(view.next(name, value)) << size;
  }
}

}  // namespace
}  // namespace bulkhead::ring
