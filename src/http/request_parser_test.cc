#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace bulkhead::http {
namespace {

constexpr std::string_view kHost = "Host: a\r\n";

// Parses `bytes` whole, and again byte by byte; both must agree.
struct Parsed {
  explicit Parsed(std::string_view bytes, RequestParser::Options options = {}) : text(bytes) {
    parser.set_options(options);
    step = parser.parse(text);
    RequestParser slow;
    slow.set_options(options);
    ParseStep slow_step = ParseStep::kMore;
    for (size_t i = 1; i <= text.size() && slow_step == ParseStep::kMore; ++i) {
      slow_step = slow.parse(std::string_view(text).substr(0, i));
    }
    EXPECT_EQ(step, slow_step) << bytes;
    EXPECT_EQ(parser.error(), slow.error()) << bytes;
    EXPECT_EQ(parser.path(), slow.path());
    EXPECT_EQ(parser.host(), slow.host());
    EXPECT_EQ(parser.headers().size(), slow.headers().size());
  }
  std::string text;
  RequestParser parser;
  ParseStep step;
};

std::string with_line(std::string_view line) {
  return std::string(line) + "\r\n" + std::string(kHost) + "\r\n";
}
std::string with_header(std::string_view header) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(header) + "\r\n\r\n";
}

TEST(RequestParser, ReadsATypicalRequest) {
  Parsed p(
      "GET /a/b.php?x=1 HTTP/1.1\r\nHost: Example.COM:8080\r\nUser-Agent: x  \r\nAccept:*/*\r\n"
      "cookie: a=b\r\nConnection: keep-alive\r\n\r\nGET /next");
  ASSERT_EQ(p.step, ParseStep::kDone);
  EXPECT_EQ(p.parser.method(), Method::kGet);
  EXPECT_EQ(p.parser.method_text(), "GET");
  EXPECT_EQ(p.parser.request_line(), "GET /a/b.php?x=1 HTTP/1.1");
  EXPECT_EQ(p.parser.request_uri(), "/a/b.php?x=1");
  EXPECT_EQ(p.parser.path(), "/a/b.php");
  EXPECT_EQ(p.parser.args(), "x=1");
  EXPECT_TRUE(p.parser.has_args());
  EXPECT_FALSE(p.parser.is_complex_uri());
  EXPECT_EQ(p.parser.version(), 1001u);
  EXPECT_EQ(p.parser.protocol_text(), "HTTP/1.1");
  EXPECT_EQ(p.parser.host(), "example.com");
  EXPECT_EQ(p.parser.find_value(HeaderId::kHost), "Example.COM:8080");
  EXPECT_EQ(p.parser.find_value(HeaderId::kUserAgent), "x");
  EXPECT_EQ(p.parser.find_value(HeaderId::kAccept), "*/*");
  EXPECT_EQ(p.parser.value(*p.parser.find("COOKIE")), "a=b");
  EXPECT_EQ(p.parser.headers().size(), 5u);
  EXPECT_EQ(p.text.substr(p.parser.head_size()), "GET /next");
  EXPECT_TRUE(p.parser.wants_keep_alive());
}

TEST(RequestParser, SurvivesAMovedBuffer) {
  std::string first = "GET /x HTTP/1.1\r\nHost: a\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.parse(first), ParseStep::kMore);
  std::string second = first + "B: c\r\n\r\n";
  first.assign(first.size(), 'X');
  ASSERT_EQ(parser.parse(second), ParseStep::kDone);
  EXPECT_EQ(parser.path(), "/x");
  std::string third = second;
  second.assign(second.size(), 'X');
  parser.rebase(third.data());
  EXPECT_EQ(parser.value(*parser.find("b")), "c");
}

struct LineCase {
  std::string_view line;
  ParseError error;
};

TEST(RequestParser, JudgesRequestLinesAsNginx) {
  using E = ParseError;
  const LineCase cases[] = {
      {"GET  / HTTP/1.1", E::kNone},
      {"GET /  HTTP/1.1", E::kNone},
      {"GET / HTTP/1.1 ", E::kNone},
      {"GET / HTTP/1.1x", E::kInvalidRequest},
      {"get / HTTP/1.1", E::kInvalidMethod},
      {" GET / HTTP/1.1", E::kInvalidMethod},
      {"G-T_ / HTTP/1.1", E::kNone},
      {"GET / HTTP/2.0", E::kInvalidVersion},
      {"GET / HTTP/10.1", E::kInvalidVersion},
      {"PRI * HTTP/2.0", E::kInvalidRequest},
      {"GET / HTTP/1.2", E::kNone},
      {"GET / HTTP/1.100", E::kNone},
      {"GET / HTTP/1.1000", E::kInvalidRequest},
      {"GET / HTTP/01.1", E::kInvalidRequest},
      {"GET / HTTP/0.9", E::kInvalidRequest},
      {"GET / http/1.1", E::kInvalidRequest},
      {"GET / HTTPS/1.1", E::kInvalidRequest},
      {"GET / HTTP/1.", E::kInvalidRequest},
      {"GET / HTTP/.1", E::kInvalidRequest},
      {"GET * HTTP/1.1", E::kInvalidRequest},
      {"OPTIONS * HTTP/1.1", E::kInvalidRequest},
      {"GET a HTTP/1.1", E::kInvalidRequest},
      {"GET http://foo.com:8x/ HTTP/1.1", E::kInvalidRequest},
      {"GET http:///x HTTP/1.1", E::kInvalidHostInLine},
      {"GET http://[::1]:80/x HTTP/1.1", E::kNone},
      {"GET http://[::1/x HTTP/1.1", E::kInvalidRequest},
      {"GET http://u:p@foo/x HTTP/1.1", E::kInvalidRequest},
      {"GET ftp+x.1://foo/x HTTP/1.1", E::kNone},
      {"GET ://foo/x HTTP/1.1", E::kInvalidRequest},
      {"GET http:/x HTTP/1.1", E::kInvalidRequest},
      {"GET http://a_b/x HTTP/1.1", E::kInvalidRequest},
      {"GET http://a..b/x HTTP/1.1", E::kInvalidHostInLine},
      {"GET http://foo#x HTTP/1.1", E::kInvalidRequest},
      {"CONNECT a:80 HTTP/1.1", E::kInvalidRequest},
      {"CONNECT / HTTP/1.1", E::kConnectMethod},
      {"TRACE / HTTP/1.1", E::kTraceMethod},
      {"FOO / HTTP/1.1", E::kNone},
      {"GET /a b HTTP/1.1", E::kInvalidRequest},
      {"GET /a\tb HTTP/1.1", E::kInvalidRequest},
      {std::string_view("GET /a\0b HTTP/1.1", 17), E::kInvalidRequest},
      {std::string_view("GET /a?\0 HTTP/1.1", 17), E::kInvalidRequest},
      {"GET /a\x7f HTTP/1.1", E::kInvalidRequest},
      {"GET /a\x80 HTTP/1.1", E::kNone},
      {"GET /a%00b HTTP/1.1", E::kUnsafeUri},
      {"GET /a%zz HTTP/1.1", E::kUnsafeUri},
      {"GET /a% HTTP/1.1", E::kUnsafeUri},
      {"GET /a%2#x HTTP/1.1", E::kUnsafeUri},
      {"GET /.. HTTP/1.1", E::kUnsafeUri},
      {"GET /a/../.. HTTP/1.1", E::kUnsafeUri},
      {"GET /a\rb HTTP/1.1", E::kInvalidRequest},
      {"GET / HTTP/1.1\r", E::kInvalidRequest},
      {"GET", E::kInvalidMethod},
      {"GET ", E::kInvalidRequest},
      {"GET http://foo.com", E::kInvalidRequest},
      {"POST /", E::kInvalid09Method},
  };
  for (const LineCase& c : cases) {
    Parsed p(with_line(c.line));
    EXPECT_EQ(p.parser.error(), c.error) << c.line;
    EXPECT_EQ(p.step, c.error == E::kNone ? ParseStep::kDone : ParseStep::kError) << c.line;
  }
}

TEST(RequestParser, RefusesAtTheFirstImpossibleByte) {
  for (std::string_view bytes : {"1", "\x16\x03", "G\r", "GET *", "GET / HTTP/2", "GET /\x01"}) {
    RequestParser parser;
    EXPECT_EQ(parser.parse(bytes), ParseStep::kError) << bytes;
  }
}

TEST(RequestParser, ReadsHttp09) {
  for (std::string_view line : {"GET /x\r\n", "GET /x\n", "GET /x \r\n"}) {
    Parsed p(line);
    ASSERT_EQ(p.step, ParseStep::kDone);
    EXPECT_EQ(p.parser.version(), 9u);
    EXPECT_EQ(p.parser.path(), "/x");
    EXPECT_EQ(p.parser.protocol_text(), "");
    EXPECT_FALSE(p.parser.wants_keep_alive());
  }
}

struct TargetCase {
  std::string_view target, uri, args, request_uri, host;
};

TEST(RequestParser, SplitsTargets) {
  const TargetCase cases[] = {
      {"http://Foo.COM./x?y", "/x", "y", "/x?y", "foo.com"},
      {"http://foo.com", "/", "", "/", "foo.com"},
      {"http://foo.com?a=b", "/", "a=b", "?a=b", "foo.com"},
      {"http://foo.com:80?x", "/", "x", "?x", "foo.com"},
      {"http://foo.com:80", "/", "", "/", "foo.com"},
      {"http://[::1]:80/x", "/x", "", "/x", "[::1]"},
      {"/a#b", "/a", "", "/a#b", "a"},
      {"/a?b#c", "/a", "b", "/a?b#c", "a"},
      {"/a#?x", "/a", "", "/a#?x", "a"},
      {"/a?b%zz?c", "/a", "b%zz?c", "/a?b%zz?c", "a"},
      {"/a%3fb?x", "/a?b", "x", "/a%3fb?x", "a"},
      {"/a/?../b", "/a/", "../b", "/a/?../b", "a"},
      {"//a///b//", "/a/b/", "", "//a///b//", "a"},
      {"/?", "/", "", "/?", "a"},
      {"/a/b/..?x", "/a/", "x", "/a/b/..?x", "a"},
  };
  for (const TargetCase& c : cases) {
    Parsed p(with_line("GET " + std::string(c.target) + " HTTP/1.1"));
    ASSERT_EQ(p.step, ParseStep::kDone) << c.target;
    EXPECT_EQ(p.parser.path(), c.uri) << c.target;
    EXPECT_EQ(p.parser.args(), c.args) << c.target;
    EXPECT_EQ(p.parser.request_uri(), c.request_uri) << c.target;
    EXPECT_EQ(p.parser.host(), c.host) << c.target;
  }
}

TEST(RequestParser, KeepsSlashesWhenAsked) {
  Parsed p(with_line("GET //a//b HTTP/1.1"), {.merge_slashes = false});
  EXPECT_EQ(p.parser.path(), "//a//b");
}

struct HeaderCase {
  std::string_view header;
  ParseError error;
};

TEST(RequestParser, JudgesHeaderLinesAsNginx) {
  using E = ParseError;
  const HeaderCase cases[] = {
      {"A: b\r", E::kNone},
      {"A: b\rc", E::kInvalidHeader},
      {"A : b", E::kInvalidHeader},
      {" A: b", E::kInvalidHeader},
      {"A: b\r\n c", E::kInvalidHeader},
      {"A: b\r\n\tc", E::kInvalidHeader},
      {"A", E::kNone},
      {"A:", E::kNone},
      {std::string_view("A: \0b", 5), E::kInvalidHeader},
      {std::string_view("A\0: b", 5), E::kInvalidHeader},
      {"A\x01: b", E::kInvalidHeader},
      {"A\x7f: b", E::kInvalidHeader},
      {"A\x80: b", E::kNone},
      {"A(: b", E::kNone},
      {": b", E::kInvalidHeader},
      {"A b: c", E::kInvalidHeader},
      {"Host: b", E::kDuplicateHost},
      {"Host: a", E::kDuplicateHost},
      {"Content-Length: 2\r\nContent-Length: 2", E::kDuplicateHeader},
      {"Content-Length: +2", E::kInvalidContentLength},
      {"Content-Length: 2,2", E::kInvalidContentLength},
      {"Content-Length:", E::kInvalidContentLength},
      {"Content-Length: -2", E::kInvalidContentLength},
      {"Content-Length: 0x2", E::kInvalidContentLength},
      {"Content-Length: 2 2", E::kInvalidContentLength},
      {"Content-Length: 9223372036854775808", E::kInvalidContentLength},
      {"Content-Length: 9223372036854775807", E::kNone},
      {"Content-Length\x0b: 2", E::kInvalidHeader},
      {"Content-Length: 2\r\nTransfer-Encoding: chunked", E::kLengthAndEncoding},
      {"Transfer-Encoding: chunked\r\nContent-Length: x", E::kInvalidContentLength},
      {"Transfer-Encoding: Chunked", E::kNone},
      {"Transfer-Encoding: identity", E::kUnknownEncoding},
      {"Transfer-Encoding: gzip, chunked", E::kUnknownEncoding},
      {"Transfer-Encoding:\tchunked", E::kUnknownEncoding},
      {"Transfer-Encoding:", E::kUnknownEncoding},
      {"Transfer-Encoding: foo\r\nContent-Length: 1", E::kUnknownEncoding},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", E::kDuplicateHeader},
      {"Expect: x\r\nExpect: x", E::kDuplicateHeader},
      {"If-Match: x\r\nIf-Match: x", E::kDuplicateHeader},
      {"Authorization: x\r\nauthorization: x", E::kDuplicateHeader},
      {"Cookie: x\r\nCookie: y", E::kNone},
      {"Range: x\r\nRange: y", E::kNone},
  };
  for (const HeaderCase& c : cases) {
    Parsed p(with_header(c.header));
    EXPECT_EQ(p.parser.error(), c.error) << c.header;
  }
}

TEST(RequestParser, RefusesEncodingInHttp10AndMissingHostIn11) {
  EXPECT_EQ(Parsed("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").parser.error(),
            ParseError::kEncodingIn10);
  EXPECT_EQ(Parsed("GET / HTTP/1.1\r\n\r\n").parser.error(), ParseError::kMissingHost);
  EXPECT_EQ(Parsed("GET http://a/ HTTP/1.1\r\n\r\n").parser.error(), ParseError::kMissingHost);
  EXPECT_EQ(Parsed("GET / HTTP/1.0\r\n\r\n").step, ParseStep::kDone);
  EXPECT_EQ(Parsed("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n").parser.error(),
            ParseError::kInvalidHost);
}

TEST(RequestParser, SetsFlags) {
  Parsed p(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n"
      "Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_TRUE(p.parser.is_chunked());
  EXPECT_TRUE(p.parser.expects_continue());
  EXPECT_TRUE(p.parser.is_upgrade());
  EXPECT_FALSE(p.parser.wants_keep_alive());
  Parsed q("POST / HTTP/1.0\r\nContent-Length: 007\r\nConnection: Keep-Alive\r\n\r\n");
  EXPECT_EQ(q.parser.content_length(), 7u);
  EXPECT_TRUE(q.parser.wants_keep_alive());
  EXPECT_FALSE(Parsed("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").parser.expects_continue());
}

TEST(RequestParser, AcceptsBareLfAsLineEnd) {
  Parsed p("GET / HTTP/1.1\nHost: a\nB: c\n\n");
  ASSERT_EQ(p.step, ParseStep::kDone);
  EXPECT_EQ(p.parser.value(*p.parser.find("B")), "c");
}

TEST(RequestParser, SkipsEmptyLinesBeforeARequest) {
  RequestParser parser;
  EXPECT_EQ(parser.parse("\r\n\r\n"), ParseStep::kMore);
  EXPECT_FALSE(parser.started());
  Parsed p("\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(p.step, ParseStep::kDone);
  EXPECT_EQ(p.parser.request_line(), "GET / HTTP/1.0");
}

TEST(RequestParser, LeavesOutInvalidNamesUnlessToldOtherwise) {
  const std::string request = with_header("A_b: c\r\n_x: y\r\nA(: z\r\nGood: 1");
  Parsed strict(request);
  EXPECT_EQ(strict.parser.headers().size(), 2u);
  ASSERT_EQ(strict.parser.ignored_lines().size(), 3u);
  EXPECT_EQ(strict.parser.text(strict.parser.ignored_lines()[0]), "A_b: c");
  EXPECT_EQ(Parsed(request, {.underscores_in_headers = true}).parser.headers().size(), 4u);
  EXPECT_EQ(Parsed(request, {.ignore_invalid_headers = false}).parser.headers().size(), 5u);
}

TEST(RequestParser, LimitsTheNumberOfHeaders) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (size_t i = 1; i < RequestParser::kMaxHeaders; ++i) request += "A: b\r\n";
  EXPECT_EQ(Parsed(request + "\r\n").step, ParseStep::kDone);
  Parsed p(request + "A: b\r\n\r\n");
  EXPECT_EQ(p.parser.error(), ParseError::kTooManyHeaders);
  EXPECT_EQ(p.parser.error_text(), "client sent too many header lines");
}

TEST(RequestParser, WordsErrorsAsNginx) {
  EXPECT_EQ(Parsed(with_header("A : b")).parser.error_text(),
            "client sent invalid header line: \"A\\x20...\"");
  EXPECT_EQ(Parsed(with_header("A: b\rc")).parser.error_text(),
            "client sent invalid header line: \"A: b\\x0d...\"");
  EXPECT_EQ(Parsed(with_header("A: b \rc")).parser.error_text(),
            "client sent invalid header line: \"A: b\\x20...\"");
  EXPECT_EQ(Parsed(with_header("Host: b")).parser.error_text(),
            "client sent duplicate host header: \"Host: b\", previous value: \"Host: a\"");
  EXPECT_EQ(Parsed(with_header("Expect: x\r\nexpect: y")).parser.error_text(),
            "client sent duplicate header line: \"expect: y\", previous value: \"Expect: x\"");
  EXPECT_EQ(Parsed(with_header("Transfer-Encoding: x")).parser.error_text(),
            "client sent unknown \"Transfer-Encoding\": \"x\"");
  EXPECT_EQ(Parsed(with_line("get / HTTP/1.1")).parser.error_text(), "client sent invalid method");
  Parsed bad(with_line("GET /a b HTTP/1.1"));
  EXPECT_EQ(bad.parser.error_text(), "client sent invalid request");
  EXPECT_EQ(bad.parser.request_line(), "GET /a b HTTP/1.1");
}

TEST(RequestParser, GivesStatuses) {
  EXPECT_EQ(parse_error_status(ParseError::kInvalidRequest), 400);
  EXPECT_EQ(parse_error_status(ParseError::kTraceMethod), 405);
  EXPECT_EQ(parse_error_status(ParseError::kUriTooLong), 414);
  EXPECT_EQ(parse_error_status(ParseError::kHeaderTooLarge), 494);
  EXPECT_EQ(parse_error_status(ParseError::kUnknownEncoding), 501);
  EXPECT_EQ(parse_error_status(ParseError::kInvalidVersion), 505);
}

TEST(RequestParser, ForgetsTheRequestWhenCleared) {
  RequestParser parser;
  ASSERT_EQ(parser.parse("POST /x?y HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n\r\n"),
            ParseStep::kDone);
  parser.clear();
  ASSERT_EQ(parser.parse("GET / HTTP/1.0\r\n\r\n"), ParseStep::kDone);
  EXPECT_EQ(parser.host(), "");
  EXPECT_EQ(parser.args(), "");
  EXPECT_FALSE(parser.has_args());
  EXPECT_FALSE(parser.has_content_length());
  EXPECT_EQ(parser.find(HeaderId::kHost), nullptr);
}

}  // namespace
}  // namespace bulkhead::http
