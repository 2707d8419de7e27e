#include "http/response.h"

#include <gtest/gtest.h>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

std::string page(int status, MsiePadding padding = MsiePadding::kNo) {
  std::string out;
  append_error_page(out, status, "nginx/1.22.1", padding);
  return out;
}

TEST(ErrorPage, IsNginxsByteForByte) {
  EXPECT_EQ(page(404),
            "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
            "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n"
            "</body>\r\n</html>\r\n");
  // Content-Length of each page as nginx 1.22.1 sends it.
  const std::pair<int, size_t> sizes[] = {
      {301, 169}, {302, 145}, {303, 153}, {307, 171}, {308, 171}, {400, 157}, {401, 179},
      {402, 167}, {403, 153}, {405, 157}, {406, 163}, {409, 151}, {410, 143}, {411, 165},
      {412, 173}, {413, 183}, {414, 177}, {415, 179}, {416, 197}, {421, 173}, {429, 169},
      {494, 233}, {495, 215}, {496, 237}, {497, 255}, {498, 153}, {500, 177}, {501, 165},
      {502, 157}, {503, 197}, {504, 167}, {505, 187}, {507, 175},
  };
  for (const auto& [status, size] : sizes) EXPECT_EQ(page(status).size(), size) << status;
  EXPECT_EQ(page(404, MsiePadding::kYes).size(), 555u);
  EXPECT_EQ(page(301, MsiePadding::kYes).size(), 169u);
  EXPECT_EQ(page(417), "");
  EXPECT_FALSE(has_error_page(304));
  EXPECT_FALSE(has_error_page(200));
}

TEST(StatusText, KnowsWhatNginxKnows) {
  char scratch[8];
  EXPECT_EQ(status_text(401, scratch), "401 Unauthorized");
  EXPECT_EQ(status_text(302, scratch), "302 Moved Temporarily");
  EXPECT_EQ(status_text(599, scratch), "599 ");
  EXPECT_EQ(status_text(203, scratch), "203 ");
  EXPECT_EQ(wire_status(494), 400);
  EXPECT_EQ(wire_status(498), 498);
  std::string line;
  append_status_line(line, 200);
  EXPECT_EQ(line, "HTTP/1.1 200 OK\r\n");
}

TEST(Padding, IsForOldBrowsers) {
  EXPECT_TRUE(wants_msie_padding("Mozilla/4.0 (compatible; MSIE 6.0)"));
  EXPECT_TRUE(wants_msie_padding("Chrome/10.0"));
  EXPECT_FALSE(wants_msie_padding("Mozilla/4.0 (compatible; MSIE 6.0) Opera 9"));
  EXPECT_FALSE(wants_msie_padding("curl"));
}

TEST(Ascii, ReadsDecimals) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("9223372036854775807"), uint64_t{INT64_MAX});
  EXPECT_FALSE(parse_decimal("9223372036854775808"));
  EXPECT_FALSE(parse_decimal(""));
  EXPECT_FALSE(parse_decimal("+1"));
  EXPECT_FALSE(parse_decimal("-1"));
  EXPECT_FALSE(parse_decimal("1 "));
  EXPECT_FALSE(parse_decimal("11", 10));
  EXPECT_EQ(ifind("abCDe", "cd"), 2u);
  EXPECT_EQ(ifind("ab", "abc"), std::string_view::npos);
}

}  // namespace
}  // namespace bulkhead::http
