#include "base/html.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(Html, EscapesWhatWouldBeMarkup) {
  std::string out = "<";  // what is there stays
  append_html_escaped(out, "<a href=\"x\">&'\xff");
  EXPECT_EQ(out, "<&lt;a href=&quot;x&quot;&gt;&amp;'\xff");
}

}  // namespace
}  // namespace bulkhead
