// The metrics' text: what a strict reader relies on.
#include <gtest/gtest.h>

#include "master/status.h"

namespace bulkhead::master {
namespace {

SiteView view(const std::string& name) {
  SiteView out;
  out.site.id = 1;
  out.site.name = name;
  out.site.user = "u";
  out.site.state = "up";
  out.site.has_pool = true;
  return out;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, EscapeWhatCouldEndALabelOrALine) {
  const std::string text = metrics_text({"1", "serve", 5, 6, 7}, {view("a\"b\\c\nd")});
  EXPECT_TRUE(has_line(text, R"(bulkhead_site_up{site="a\"b\\c\nd"} 0)")) << text;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const bool starts = text.compare(at, 9, "bulkhead_") == 0 || text.compare(at, 2, "# ") == 0;
    EXPECT_TRUE(starts) << text.substr(at, 40);
  }
}

TEST(Metrics, HaveHistogramsThatOnlyGrowAndEndWithAll) {
  SiteView one = view("a");
  one.counts.times[0] = 3;
  one.counts.times[4] = 2;
  one.counts.times[ipc::kTimeClasses - 1] = 1;
  one.counts.time_us = 12'500'000;
  const std::string text = metrics_text({"1", "serve", 5, 6, 7}, {one});
  const std::string name = "bulkhead_site_request_duration_seconds";
  EXPECT_TRUE(has_line(text, name + R"(_bucket{site="a",le="0.0005"} 3)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{site="a",le="0.01"} 5)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{site="a",le="10"} 5)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{site="a",le="+Inf"} 6)"));
  EXPECT_TRUE(has_line(text, name + R"(_count{site="a"} 6)"));
  EXPECT_TRUE(has_line(text, name + R"(_sum{site="a"} 12.500000)"));
}

TEST(Metrics, TakeAnyNumbersOfAFront) {
  SiteView one = view("a");
  one.counts.active = 3;
  one.counts.queued = 7;  // more wait than there are
  EXPECT_EQ(one.busy(), 0u);
  one.counts.active = ~0u;
  one.figures.workers = 2;
  EXPECT_EQ(one.busy(), 2u);
}

TEST(StatusJson, IsOneObjectWithItsTextsQuoted) {
  SiteView one = view("a\"b");
  one.site.why = "x\\y";
  const std::string text = json_of(one);
  EXPECT_NE(text.find(R"("name":"a\"b")"), std::string::npos);
  EXPECT_NE(text.find(R"("why":"x\\y")"), std::string::npos);
  EXPECT_NE(text.find(R"("last_request":null)"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::master
