#include "http/cgi_head.h"

#include <gtest/gtest.h>

namespace bulkhead::http {
namespace {

TEST(CgiHeadScanner, FindsTheEmptyLine) {
  for (std::string_view block : {"A: b\r\n\r\n", "A: b\n\n", "A: b\n\r\n", "\r\n", "\n"}) {
    const std::string with_body = std::string(block) + "body\n\n";
    CgiHeadScanner whole;
    EXPECT_EQ(whole.feed(with_body), block.size()) << block;
    CgiHeadScanner slow;
    for (size_t i = 0; i < block.size(); ++i) {
      EXPECT_EQ(slow.feed(block.substr(i, 1)), i + 1 == block.size() ? 1 : std::string_view::npos);
    }
  }
  CgiHeadScanner never;
  EXPECT_EQ(never.feed("A: b\r\nB: c\r\n\rX\r\n"), std::string_view::npos);
}

TEST(CgiHead, ReadsStatusAndHeaders) {
  CgiHead head;
  ASSERT_EQ(head.parse("Status: 404 Gone Fishing\r\nContent-type: text/html\r\nX:  y \r\n\r\n"),
            CgiHeadError::kNone);
  EXPECT_EQ(head.status(), 404);
  EXPECT_EQ(head.status_line(), "404 Gone Fishing");
  ASSERT_EQ(head.headers().size(), 2u);
  EXPECT_EQ(head.find("CONTENT-TYPE")->value, "text/html");
  EXPECT_EQ(head.headers()[1].value, "y");
}

TEST(CgiHead, RedirectsByLocationAlone) {
  CgiHead head;
  ASSERT_EQ(head.parse("Location: /x\n\n"), CgiHeadError::kNone);
  EXPECT_EQ(head.status(), 302);
  EXPECT_EQ(head.status_line(), "");
  ASSERT_EQ(head.parse("Location: /x\nStatus: 201 Created\n\n"), CgiHeadError::kNone);
  EXPECT_EQ(head.status(), 201);
  ASSERT_EQ(head.parse("\n"), CgiHeadError::kNone);
  EXPECT_EQ(head.status(), 200);
}

TEST(CgiHead, SkipsARepeatedStatusLine) {
  CgiHead head;
  ASSERT_EQ(head.parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), CgiHeadError::kNone);
  EXPECT_EQ(head.headers().size(), 1u);
}

TEST(CgiHead, RefusesInvalidHeaders) {
  CgiHead head;
  EXPECT_EQ(head.parse("A b: c\r\n\r\n"), CgiHeadError::kInvalidHeader);
  EXPECT_EQ(head.error_text(), "upstream sent invalid header: \"A\\x20...\"");
  EXPECT_EQ(head.parse(" folded\r\n\r\n"), CgiHeadError::kInvalidHeader);
  EXPECT_EQ(head.parse(": x\r\n\r\n"), CgiHeadError::kInvalidHeader);
  EXPECT_EQ(head.parse("A: b\rc\r\n\r\n"), CgiHeadError::kInvalidHeader);
  EXPECT_EQ(head.error_text(), "upstream sent invalid header: \"A: b\\x0d...\"");
  EXPECT_EQ(head.parse(std::string_view("A: \0\r\n\r\n", 8)), CgiHeadError::kInvalidHeader);
  EXPECT_EQ(head.parse("Status: abc\r\n\r\n"), CgiHeadError::kInvalidStatus);
  EXPECT_EQ(head.error_text(), "upstream sent invalid status \"abc\"");
  EXPECT_EQ(head.parse("Status: 20\r\n\r\n"), CgiHeadError::kInvalidStatus);
  EXPECT_EQ(head.parse("Status: 099\r\n\r\n"), CgiHeadError::kInvalidStatus);
}

TEST(CgiHead, LimitsTheNumberOfHeaders) {
  std::string block;
  for (size_t i = 0; i < CgiHead::kMaxHeaders; ++i) block += "A: b\n";
  CgiHead head;
  EXPECT_EQ(head.parse(block + "\n"), CgiHeadError::kNone);
  EXPECT_EQ(head.parse(block + "A: b\n\n"), CgiHeadError::kTooManyHeaders);
}

}  // namespace
}  // namespace bulkhead::http
