#include "front/rewrite.h"

#include <gtest/gtest.h>

#include "front/phases_fixture.h"

namespace bulkhead::front {
namespace {

std::string in_server(const std::string& text) {
  return "server { listen 80; root ROOT; " + text + " }";
}
std::string body(TestFront& front, const std::string& target) {
  return TestFront::body(front.get(target));
}
std::string redirect(TestFront& front, const std::string& target) {
  std::string answer = front.get(target);
  return TestFront::status(answer) + " " + TestFront::header(answer, "Location");
}

TEST(Rewrite, LastFindsTheLocationAgainAndKeepsArguments) {
  TestFront front(in_server(R"(location /a/ { rewrite ^/a/(.*)$ /b/$1 last; return 200 no; }
                              location /b/ { return 200 "$uri?$args"; })"));
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(body(front, "/a/x?k=v"), "/b/x?k=v");
}
TEST(Rewrite, BreakStaysInTheLocation) {
  TestFront front(in_server("location /a/ { rewrite ^/a/(.*)$ /$1 break; }"));
  front.file("f.txt", "file");
  EXPECT_EQ(body(front, "/a/f.txt"), "file");
}
TEST(Rewrite, NoFlagGoesOnWithTheNextStatement) {
  TestFront front(in_server(R"(location /1 { rewrite ^/1$ /2; rewrite ^/2$ /3; set $x $uri; }
                              location /3 { return 200 "$uri $x"; })"));
  EXPECT_EQ(body(front, "/1"), "/3 /3");
}
TEST(Rewrite, RedirectsCarryArgumentsUnlessAQuestionMarkDropsThem) {
  TestFront front(
      in_server(R"(rewrite ^/t/(.*)$ /to/$1 redirect; rewrite ^/p/(.*)$ /to/$1? permanent;
                              rewrite ^/h/(.*)$ http://h/$1;
        rewrite ^/q/(.*)$ /to?x=$1 redirect;)"));
  EXPECT_EQ(redirect(front, "/t/x?k=v"), "302 http://localhost:8080/to/x?k=v");
  EXPECT_EQ(redirect(front, "/p/x?k=v"), "301 http://localhost:8080/to/x");
  EXPECT_EQ(redirect(front, "/h/x?k=v"), "302 http://h/x?k=v");
  EXPECT_EQ(redirect(front, "/q/a%26b?k=v"), "302 http://localhost:8080/to?x=a%26b&k=v");
}
TEST(Rewrite, CapturesAreEscapedInArguments) {
  TestFront front(in_server(R"(rewrite ^/a/(.*)$ /v?z=$1; location /v { return 200 $args; })"));
  EXPECT_EQ(body(front, "/a/x%26y?k"), "z=x%26y&k");
  EXPECT_EQ(body(front, "/a/x+y"), "z=x%2By");
  EXPECT_EQ(body(front, "/a/xy"), "z=xy");
}
TEST(Rewrite, ALoopEndsWith500) {
  TestFront front(in_server("location /c { rewrite ^ /c last; }"));
  EXPECT_EQ(TestFront::status(front.get("/c")), "500");
  EXPECT_NE(
      front.output.errors.find("rewrite or internal redirection cycle while processing \"/c\""),
      std::string::npos);
}
TEST(Rewrite, ReturnsEveryForm) {
  TestFront front(
      in_server(R"(location /t { return 200 "t $uri $status"; } location /n { return 404 nf; }
      location /e { return 204; } location /u { return http://x/y; } location /c { return 444; }
      location /x { return 307 /z; })"));
  EXPECT_EQ(body(front, "/t"), "t /t 200");
  std::string answer = front.get("/n");
  EXPECT_EQ(TestFront::status(answer) + TestFront::body(answer), "404nf");
  EXPECT_EQ(TestFront::header(front.get("/e"), "Content-Length"), "(none)");
  EXPECT_EQ(redirect(front, "/u"), "302 http://x/y");
  EXPECT_EQ(redirect(front, "/x"), "307 http://localhost:8080/z");
  front.get("/c");
  EXPECT_TRUE(front.output.closed);
}
TEST(Rewrite, ALineBreakInAUriCannotStartAHeader) {
  TestFront front(in_server(
      "location /l { return 302 $uri; } location /h { add_header X $uri; return 200 x; }"));
  std::string answer = front.get("/l%0d%0aSet-Cookie:%20a=b");
  EXPECT_EQ(TestFront::header(answer, "Set-Cookie"), "(none)");
  EXPECT_EQ(TestFront::header(front.get("/h%0d%0aSet-Cookie:%20a=b"), "Set-Cookie"), "(none)");
  // Wherever it stands, as values are looked at by eight bytes.
  for (size_t n = 0; n < 18; ++n) {
    const std::string before(n, 'x');
    for (const char* end_of_line : {"%0a", "%0d"}) {
      answer = front.get("/h" + before + end_of_line + "A:b");
      EXPECT_EQ(TestFront::header(answer, "X"), "/h" + before + " A:b") << n;
      answer = front.get("/h" + before + "\xc3\xa4%09" + end_of_line);
      EXPECT_EQ(TestFront::header(answer, "X"), "/h" + before + "\xc3\xa4\t ") << n;
    }
  }
}

TEST(If, TestsTruthEqualityAndPatterns) {
  TestFront front(in_server(R"(location / { set $r ""; if ($arg_q) { set $r t; }
      if ($arg_q = z) { set $r "${r}e"; } if ($arg_q != z) { set $r "${r}n"; }
      if ($arg_q ~ ^r(.*)$) { set $r "${r}m$1"; } if ($arg_q ~* ^R) { set $r "${r}i"; }
      if ($arg_q !~ r) { set $r "${r}x"; } return 200 $r; })"));
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(body(front, "/"), "nx");
  EXPECT_EQ(body(front, "/?q=0"), "nx");
  EXPECT_EQ(body(front, "/?q=z"), "tex");
  EXPECT_EQ(body(front, "/?q=rab"), "tnmabi");
}
TEST(If, FileTestsWaitForTheOpener) {
  for (Answers answers : {Answers::kAtOnce, Answers::kLater}) {
    TestFront front(in_server(R"(location / { set $r ""; if (-f $document_root/f) { set $r f; }
        if (!-f $document_root/no) { set $r "${r}n"; } if (-d $document_root/d) { set $r "${r}d"; }
        if (-e $document_root/d) { set $r "${r}e"; } if (-x $document_root/f) { set $r BAD; }
        return 200 $r; })"));
    front.file("f", "x");
    front.file("d/x", "x");
    front.files.answers = answers;
    EXPECT_EQ(body(front, "/"), "fnde");
  }
}
TEST(If, ItsSettingsReplaceTheLocationsAsNginxDoes) {
  TestFront front(in_server(R"(
      location /h { add_header X-1 1; if ($arg_e) { add_header X-2 2; }
        if ($arg_e) { add_header X-3 3; }
                    return 200 x; }
      location /t { try_files /there =404; if ($arg_e) { set $x 1; } })"));
  front.file("there", "there");
  std::string answer = front.get("/h?e=1");
  EXPECT_EQ(TestFront::header(answer, "X-1"), "(none)");
  EXPECT_EQ(TestFront::header(answer, "X-2"), "(none)");
  EXPECT_EQ(TestFront::header(answer, "X-3"), "3");
  EXPECT_EQ(body(front, "/t"), "there");
  EXPECT_EQ(TestFront::status(front.get("/t?e=1")), "404");  // try_files is gone inside the if
}
TEST(If, KeepsTheApplicationOfItsLocation) {
  TestFront front(in_server("location / { fastcgi_pass unix:/x.sock; if ($arg_e) { set $z 1; } }"));
  EXPECT_EQ(body(front, "/?e=1"), "app");
}
TEST(Set, WarnsOfAVariableThatWasNeverSet) {
  TestFront front(in_server("location / { if ($arg_q) { set $v 1; } return 200 \"<$v>\"; }"));
  EXPECT_EQ(body(front, "/"), "<>");
  EXPECT_NE(front.output.errors.find("using uninitialized \"v\" variable"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::front
