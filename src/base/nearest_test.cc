#include "base/nearest.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

const std::vector<std::string> kNames{"add", "list", "remove", "restore", "set", "blog.example"};

TEST(Nearest, FindsASlipOfTheFinger) {
  EXPECT_EQ(nearest("addd", kNames), "add");
  EXPECT_EQ(nearest("ad", kNames), "add");
  EXPECT_EQ(nearest("lsit", kNames), "list");  // swapped: one slip
  EXPECT_EQ(nearest("lst", kNames), "list");   // left out
  EXPECT_EQ(nearest("remvoe", kNames), "remove");
  EXPECT_EQ(nearest("blog.exmaple", kNames), "blog.example");
}

TEST(Nearest, NamesNothingThatIsFarAway) {
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
  EXPECT_EQ(nearest("export", kNames), "");
  EXPECT_EQ(nearest("shop.example.net", kNames), "");
  EXPECT_EQ(nearest(std::string(10'000, 'a'), kNames), "");
  EXPECT_EQ(nearest("add", {}), "");
}

TEST(Nearest, AsksInWords) {
  EXPECT_EQ(did_you_mean("addd", kNames), "; did you mean \"add\"?");
  EXPECT_EQ(did_you_mean("zzzz", kNames), "");
}

}  // namespace
}  // namespace bulkhead
