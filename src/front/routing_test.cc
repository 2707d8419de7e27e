#include <gtest/gtest.h>

#include "front/phases_fixture.h"

namespace bulkhead::front {
namespace {

std::string served_by(TestFront& front, const std::string& host) {
  return TestFront::body(front.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
}

constexpr const char* kServers = R"(
  server { listen 80; server_name first; return 200 first; }
  server { listen 80; server_name *.example.com; return 200 leading; }
  server { listen 80; server_name *.deep.example.com; return 200 longer; }
  server { listen 80; server_name www.example.*; return 200 trailing; }
  server { listen 80; server_name ~^(?<sub>\w+)\.re\.test$; return 200 "regex $sub $1"; }
  server { listen 80; server_name a.b.example.com ""; return 200 exact; }
  server { listen 80; server_name .dot.org; return 200 dot; })";

TEST(ServerNames, ExactThenLeadingThenTrailingThenRegexThenDefault) {
  TestFront front(kServers);
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(served_by(front, "a.b.example.com"), "exact");
  EXPECT_EQ(served_by(front, "x.example.com"), "leading");
  EXPECT_EQ(served_by(front, "x.deep.example.com"), "longer");
  EXPECT_EQ(served_by(front, "www.example.com"), "leading");
  EXPECT_EQ(served_by(front, "www.example.org"), "trailing");
  EXPECT_EQ(served_by(front, "abc.re.test"), "regex abc abc");
  EXPECT_EQ(served_by(front, "unknown"), "first");
}
TEST(ServerNames, ADotMeansTheNameAndAllBelow) {
  TestFront front(kServers);
  EXPECT_EQ(served_by(front, "dot.org"), "dot");
  EXPECT_EQ(served_by(front, "X.DOT.org:8080"), "dot");
  EXPECT_EQ(served_by(front, "notdot.org"), "first");
}
TEST(ServerNames, NoHostGoesToTheEmptyName) {
  TestFront front(kServers);
  EXPECT_EQ(TestFront::body(front.raw("GET / HTTP/1.0\r\n\r\n")), "exact");
}

std::string location_of(TestFront& front, const std::string& path) {
  return TestFront::body(front.get(path));
}

TEST(Locations, FollowNginxsOrder) {
  TestFront front(R"(server { listen 80;
    location / { return 200 root; }
    location = /a { return 200 exact; }
    location /a { return 200 prefix; }
    location /a/b { return 200 longer; }
    location ^~ /stop { return 200 stop; }
    location ~ \.php$ { return 200 php; }
    location ~* \.PNG$ { return 200 png; }
    location ~ ^/a/.*\.php$ { return 200 late; } })");
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(location_of(front, "/a"), "exact");
  EXPECT_EQ(location_of(front, "/ab"), "prefix");
  EXPECT_EQ(location_of(front, "/a/bc"), "longer");
  EXPECT_EQ(location_of(front, "/a/b.php"), "php");
  EXPECT_EQ(location_of(front, "/stop/x.php"), "stop");
  EXPECT_EQ(location_of(front, "/x.png"), "png");
  EXPECT_EQ(location_of(front, "/zzz"), "root");
}
TEST(Locations, NestedOnesComeBeforeOuterRegularExpressions) {
  TestFront front(R"(server { listen 80;
    location /n { location ~ \.x$ { return 200 inner; } location /n/in { return 200 in; }
                  return 200 n; }
    location ~ \.x$ { return 200 outer; } })");
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(location_of(front, "/n/a.x"), "inner");
  EXPECT_EQ(location_of(front, "/n/in/f"), "in");
  EXPECT_EQ(location_of(front, "/b.x"), "outer");
}
TEST(Locations, AMissingSlashBeforeAnApplicationIsAdded) {
  TestFront front("server { listen 80; location /app/ { fastcgi_pass unix:/x.sock; } }");
  std::string answer = front.get("/app?a=b");
  EXPECT_EQ(TestFront::status(answer), "301");
  EXPECT_EQ(TestFront::header(answer, "Location"), "http://localhost:8080/app/?a=b");
}
TEST(Locations, TenThousandNamesCostNoMoreThanTen) {
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    std::string n = std::to_string(i);
    text += "server { listen 80; server_name s" + n + ".test; return 200 " + n + "; }\n";
  }
  TestFront front(text);
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(served_by(front, "s0.test"), "0");
  EXPECT_EQ(served_by(front, "s1999.test"), "1999");
}

}  // namespace
}  // namespace bulkhead::front
