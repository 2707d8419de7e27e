// What keys do to the picture, and how keys come out of bytes.
#include "top/live.h"

#include <gtest/gtest.h>

namespace bulkhead::top {
namespace {

Sample sample(std::vector<std::string> names) {
  Sample out;
  out.pid = 1;
  for (const std::string& name : names) {
    out.sites[name].state = "up";
    out.sites[name].has_pool = name != "static";
  }
  return out;
}

Live::Wish type(Live* live, std::string_view text) {
  Live::Wish wish = Live::Wish::kNothing;
  KeyReader keys;
  for (const Press& press : keys.read(text)) wish = live->press(press, 24);
  return wish;
}

std::string last_line(Live* live) { return live->picture({80, 24}).back().text; }

TEST(KeyReader, PutsArrowsTogetherThatComeInPieces) {
  KeyReader keys;
  EXPECT_TRUE(keys.read("\033").empty());
  EXPECT_TRUE(keys.read("[").empty());
  auto presses = keys.read("Bq");
  ASSERT_EQ(presses.size(), 2u);
  EXPECT_EQ(presses[0].key, Key::kDown);
  EXPECT_EQ(presses[1].character, 'q');
}

TEST(KeyReader, TakesALoneEscapeAndLeavesUnknownSequencesOut) {
  KeyReader keys;
  EXPECT_TRUE(keys.read("\033").empty());
  auto presses = keys.flush();
  ASSERT_EQ(presses.size(), 1u);
  EXPECT_EQ(presses[0].key, Key::kEscape);
  EXPECT_TRUE(keys.read("\033[1;5C\033[200~\x01\x80").empty());
  EXPECT_TRUE(keys.read("\033[0000000000000000").empty());
  EXPECT_FALSE(keys.has_rest());
}

TEST(Live, RestartsOnlyAfterYes) {
  Live live(Sort::kName, "");
  live.take(sample({"a", "b"}));
  EXPECT_EQ(type(&live, "jR"), Live::Wish::kNothing);
  EXPECT_EQ(last_line(&live), "restart b? y/N");
  EXPECT_EQ(type(&live, "q"), Live::Wish::kNothing);  // any other key is no
  EXPECT_EQ(type(&live, "R"), Live::Wish::kNothing);
  EXPECT_EQ(type(&live, "y"), Live::Wish::kRestart);
  EXPECT_EQ(live.selected(), "b");
}

TEST(Live, AsksAboutTheSiteThatWasChosenEvenIfItLeaves) {
  Live live(Sort::kName, "");
  live.take(sample({"a", "b"}));
  type(&live, "jR");
  live.take(sample({"a"}));
  EXPECT_EQ(last_line(&live), "restart b? y/N");
  EXPECT_EQ(type(&live, "y"), Live::Wish::kRestart);
  EXPECT_EQ(live.selected(), "b");
}

TEST(Live, HasNothingToRestartInASiteWithoutPhpOrWithoutSites) {
  Live live(Sort::kName, "");
  EXPECT_EQ(type(&live, "Ry"), Live::Wish::kNothing);
  live.take(sample({"static"}));
  EXPECT_EQ(type(&live, "R"), Live::Wish::kNothing);
  EXPECT_EQ(last_line(&live), "static has no PHP to restart");
}

TEST(Live, FiltersWhileItIsTypedAndTakesItBack) {
  Live live(Sort::kName, "");
  live.take(sample({"shop", "blog"}));
  type(&live, "/sq");
  EXPECT_EQ(last_line(&live), "filter: sq_");
  EXPECT_EQ(live.selected(), "");
  type(&live, "\x7f\r");
  EXPECT_EQ(live.selected(), "shop");
  EXPECT_EQ(type(&live, "q"), Live::Wish::kQuit);
}

TEST(Live, ScrollsSoThatTheChosenSiteIsSeenOnAnySize) {
  Live live(Sort::kName, "");
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("s" + std::to_string(1000 + i));
  live.take(sample(names));
  type(&live, "\033[F");
  EXPECT_EQ(live.selected(), "s1099");
  for (size_t rows : {24u, 5u, 1u, 200u}) {
    size_t chosen = 0;
    for (const auto& line : live.picture({80, rows})) {
      chosen += line.style == Screen::Line::Style::kInverse;
    }
    EXPECT_EQ(chosen, 1u) << rows;
  }
  type(&live, "\033[5~\033[5~");
  EXPECT_EQ(live.selected(), "s1059");
}

}  // namespace
}  // namespace bulkhead::top
