// Limits of a request head as a connection applies them; and names of headers.
#include <gtest/gtest.h>

#include "http/request_parser.h"

namespace bulkhead::http {
namespace {

// Feeds a head as a connection would, never more than the window allows.
ParseError feed(const std::string& head, RequestParser& parser) {
  HeadWindow window(1024, 4, 8192);
  size_t received = 0, allowed = 1024;
  for (;;) {
    received = std::min(allowed, head.size());
    const ParseStep step = parser.parse(std::string_view(head).substr(0, received));
    if (step != ParseStep::kMore || received == head.size()) return parser.error();
    allowed = window.allow(parser, received);
    if (allowed == 0) return parser.error();
  }
}

TEST(HeadWindow, LimitsLinesAndTotalAsNginx) {
  const auto line = [](size_t n) {
    return "GET /" + std::string(n, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  const auto header = [](size_t n) {
    return "GET / HTTP/1.1\r\nHost: a\r\nA:" + std::string(n - 2, 'x') + "\r\n\r\n";
  };
  RequestParser parser;
  EXPECT_EQ(feed(line(8176), parser), ParseError::kNone);
  parser.clear();
  EXPECT_EQ(feed(line(8177), parser), ParseError::kUriTooLong);
  parser.clear();
  EXPECT_EQ(feed(header(8190), parser), ParseError::kNone);
  parser.clear();
  const std::string large = header(8191);  // error_text() quotes it
  EXPECT_EQ(feed(large, parser), ParseError::kHeaderTooLarge);
  EXPECT_EQ(parser.error_text().substr(0, 43), "client sent too long header line: \"A:xxxxxx");
  for (int count : {4, 5}) {
    std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < count; ++i) head += "A: " + std::string(8000, 'x') + "\r\n";
    parser.clear();
    EXPECT_EQ(feed(head + "\r\n", parser),
              count == 4 ? ParseError::kNone : ParseError::kHeaderTooLarge);
  }
}

TEST(Headers, FindsNamesInAnyCase) {
  for (int i = 1; i < static_cast<int>(HeaderId::kCount); ++i) {
    const auto id = static_cast<HeaderId>(i);
    std::string name(header_name(id));
    EXPECT_EQ(find_header_id(name), id) << name;
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(find_header_id(name), id) << name;
    EXPECT_EQ(find_header_id(name + "x"), HeaderId::kOther);
  }
}

}  // namespace
}  // namespace bulkhead::http
