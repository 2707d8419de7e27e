#include "front/phases.h"

#include <gtest/gtest.h>

#include "front/phases_fixture.h"

namespace bulkhead::front {
namespace {

std::string in_server(const std::string& text) {
  return "default_type text/plain; types { text/html html; text/css css; } "
         "server { listen 80; server_name localhost; root ROOT; " +
         text + " }";
}
std::string outcome(TestFront& front, const std::string& target) {
  std::string answer = front.get(target);
  return TestFront::status(answer) + " " + TestFront::body(answer);
}
bool logged(const TestFront& front, const std::string& text) {
  return front.output.errors.find(text) != std::string::npos;
}

// ---- files --------------------------------------------------------------------------------------
TEST(Static, ServesAFileWithNginxsHeadersInNginxsOrder) {
  TestFront front(in_server(""));
  front.file("a.css", "body{}");
  std::string answer = front.get("/a.css");
  size_t date = answer.find("Date: ");
  answer.replace(date, answer.find("\r\n", date) - date, "Date: X");
  EXPECT_EQ(answer,
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: X\r\nContent-Type: text/css\r\n"
            "Content-Length: 6\r\nLast-Modified: Sun, 13 Sep 2020 12:26:40 GMT\r\n"
            "Connection: keep-alive\r\nETag: \"5f5e1000-6\"\r\nAccept-Ranges: bytes\r\n\r\nbody{}");
}
TEST(Static, OnlyReadsAreAllowed) {
  TestFront front(in_server(""));
  front.file("a.css", "x");
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_EQ(TestFront::status(front.get("/a.css", "", method)), "405") << method;
  }
  EXPECT_EQ(TestFront::body(front.get("/a.css", "", "HEAD")), "");
}
TEST(Static, NamesTheMissingFileInTheLog) {
  TestFront front(in_server("location /quiet { log_not_found off; }"));
  EXPECT_EQ(TestFront::status(front.get("/no")), "404");
  EXPECT_TRUE(logged(front, "[error] 42#"));
  EXPECT_TRUE(
      logged(front, ": *7 open() \"" + front.root +
                        "/no\" failed (2: No such file or directory), client: 127.0.0.1, "
                        "server: localhost, request: \"GET /no HTTP/1.1\", host: \"localhost\""));
  front.output.errors.clear();
  front.get("/quiet");
  EXPECT_EQ(front.output.errors, "");
}
TEST(Static, ADirectoryGetsItsSlash) {
  TestFront front(in_server(""));
  front.file("a b/x", "x");
  EXPECT_EQ(TestFront::header(front.get("/a%20b?q"), "Location"), "http://localhost:8080/a%20b/?q");
}
TEST(Static, AliasReplacesThePrefixAlsoWithCaptures) {
  TestFront front(
      in_server("location /i/ { alias ROOT/d/; } location ~ ^/r/(.+)$ { alias ROOT/d/$1; }"));
  front.file("d/f", "file");
  EXPECT_EQ(outcome(front, "/i/f"), "200 file");
  EXPECT_EQ(outcome(front, "/r/f"), "200 file");
}
TEST(Index, IsAnInternalRedirectAndFallsBackTo403) {
  for (Answers answers : {Answers::kAtOnce, Answers::kLater}) {
    TestFront front(
        in_server("index no.html i.html; location /abs/ { index no /other; } "
                  "location = /other { return 200 other; }"));
    front.files.answers = answers;
    front.file("d/i.html", "index");
    front.file("none/x", "x");
    front.file("abs/x", "x");
    EXPECT_EQ(outcome(front, "/d/"), "200 index");
    EXPECT_EQ(outcome(front, "/abs/"), "200 other");
    EXPECT_EQ(TestFront::status(front.get("/none/")), "403");
    EXPECT_TRUE(logged(front, "directory index of \"" + front.root + "/none/\" is forbidden"));
    EXPECT_EQ(TestFront::status(front.get("/missing/")), "404");
    EXPECT_TRUE(logged(front, "\"" + front.root + "/missing/no.html\" is not found (2: No such"));
  }
}
TEST(TryFiles, EveryForm) {
  for (Answers answers : {Answers::kAtOnce, Answers::kLater}) {
    TestFront front(in_server(R"(location / { try_files $uri $uri/ /fall?u=$uri&$args; }
        location /fall { return 200 "$args"; } location /code { try_files /no =410; }
        location /named { try_files /no @n; } location @n { return 200 "named $uri"; })"));
    front.files.answers = answers;
    front.file("f", "file");
    front.file("d/index.html", "index");
    EXPECT_EQ(outcome(front, "/f"), "200 file");
    EXPECT_EQ(outcome(front, "/d/"), "200 index");
    EXPECT_EQ(outcome(front, "/x?k=v"), "200 u=/x&k=v");
    EXPECT_EQ(TestFront::status(front.get("/code")), "410");
    EXPECT_EQ(outcome(front, "/named"), "200 named /named");
  }
}
TEST(Autoindex, ListsDirectoriesFirstAndEscapesNames) {
  TestFront front(in_server("autoindex on;"));
  front.file("l/<b>", "12");
  front.file("l/d/x", "x");
  front.file("l/.hidden", "x");
  std::string page = TestFront::body(front.get("/l/"));
  EXPECT_LT(page.find("<a href=\"d/\">d/</a>"), page.find("<a href=\"%3Cb%3E\">&lt;b&gt;</a>"));
  EXPECT_EQ(page.find("hidden"), std::string::npos);
  EXPECT_NE(page.find(" 13-Sep-2020 12:26                   2\r\n"), std::string::npos);
}

// ---- access -------------------------------------------------------------------------------------
TEST(Access, FirstRuleThatAppliesDecides) {
  TestFront front(in_server(R"(location /no { deny 127.0.0.0/8; allow all; }
      location /yes { allow 127.0.0.1; deny all; return 200 x; } location /y { allow 127.0.0.1;
        deny all; })"));
  front.file("y", "y");
  EXPECT_EQ(TestFront::status(front.get("/no")), "403");
  EXPECT_TRUE(logged(front, "access forbidden by rule, client"));
  EXPECT_EQ(outcome(front, "/y"), "200 y");
}
TEST(Access, InternalLocationsAreReachedFromInsideOnly) {
  TestFront front(
      in_server("location /i { internal; return 200 in; } location /o { rewrite ^ /i last; }"));
  EXPECT_EQ(TestFront::status(front.get("/i")), "404");
  EXPECT_EQ(outcome(front, "/o"), "200 in");
}
TEST(Access, RefusesWhatItCannotProtect) {
  TestFront front(
      in_server("location / { auth_basic x; auth_basic_user_file f; return 200 secret; }"));
  ASSERT_EQ(front.problem, "");
  EXPECT_EQ(TestFront::status(front.get("/")), "503");
}
TEST(Access, ABodyLargerThanAllowedIs413AndCloses) {
  TestFront front(in_server("location / { client_max_body_size 10; fastcgi_pass unix:/x.sock; }"));
  EXPECT_EQ(TestFront::status(front.get("/", "Content-Length: 10\r\n", "POST")), "200");
  std::string answer = front.get("/", "Content-Length: 11\r\n", "POST");
  EXPECT_EQ(TestFront::status(answer), "413");
  EXPECT_EQ(TestFront::header(answer, "Connection"), "close");
  EXPECT_TRUE(logged(front, "client intended to send too large body: 11 bytes"));
}

// ---- error pages --------------------------------------------------------------------------------
TEST(ErrorPage, EveryForm) {
  TestFront front(in_server(
      R"(location /uri { error_page 404 /e.html; } location /ok { error_page 404 =200 /e.html; }
      location /take { error_page 404 = @n; } location /keep { error_page 404 @n; }
      location /url { error_page 404 http://e/; } location /u301 { error_page 404 =301 http://e/; }
      location /trick { error_page 418 = @n; return 418; } location @n { return 200 "n $uri"; })"));
  front.file("e.html", "page");
  EXPECT_EQ(outcome(front, "/uri"), "404 page");
  EXPECT_EQ(outcome(front, "/ok"), "200 page");
  EXPECT_EQ(outcome(front, "/take"), "200 n /take");
  EXPECT_EQ(outcome(front, "/keep"), "404 n /keep");
  EXPECT_EQ(TestFront::header(front.get("/url"), "Location"), "http://e/");
  EXPECT_EQ(TestFront::status(front.get("/url")), "302");
  EXPECT_EQ(TestFront::status(front.get("/u301")), "301");
  EXPECT_EQ(outcome(front, "/trick"), "200 n /trick");
}
TEST(ErrorPage, IsFollowedOnceUnlessRecursive) {
  TestFront front(in_server(
      R"(location /a { error_page 404 /b; return 404; } location /b { error_page 403 /e.html;
        return 403; }
      location /r { recursive_error_pages on; error_page 404 /s; return 404; }
      location /s { recursive_error_pages on; error_page 403 /e.html; return 403; })"));
  front.file("e.html", "page");
  EXPECT_EQ(TestFront::status(front.get("/a")), "403");
  EXPECT_EQ(outcome(front, "/r"), "403 page");
}
TEST(ErrorPage, ServerTokensNameTheRole) {
  TestFront nginx(in_server("location /off { server_tokens off; }"));
  EXPECT_NE(nginx.get("/x").find("<center>nginx/1.22.1</center>"), std::string::npos);
  EXPECT_EQ(TestFront::header(nginx.get("/off"), "Server"), "nginx");
  TestFront serve(in_server(""), "serve");
  EXPECT_EQ(TestFront::header(serve.get("/x"), "Server").substr(0, 9), "Bulkhead/");
}
TEST(ErrorPage, ABadRequestIsAnsweredAndLogged) {
  TestFront front(in_server(""));
  std::string answer = front.raw("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(TestFront::status(answer), "400");
  EXPECT_EQ(TestFront::header(answer, "Connection"), "close");
  EXPECT_TRUE(logged(front, "[info]"));
}

// ---- header filters -----------------------------------------------------------------------------
TEST(Filters, ConditionsAndRanges) {
  TestFront front(in_server(""));
  front.file("a.html", "0123456789");
  std::string etag = TestFront::header(front.get("/a.html"), "ETag");
  EXPECT_EQ(TestFront::status(front.get("/a.html", "If-None-Match: " + etag + "\r\n")), "304");
  EXPECT_EQ(TestFront::status(front.get("/a.html", "If-Match: \"x\"\r\n")), "412");
  std::string part = front.get("/a.html", "Range: bytes=2-4\r\n");
  EXPECT_EQ(TestFront::status(part) + TestFront::body(part), "206234");
  EXPECT_EQ(TestFront::header(part, "Content-Range"), "bytes 2-4/10");
  std::string none = front.get("/a.html", "Range: bytes=20-\r\n");
  EXPECT_EQ(TestFront::status(none), "416");
  EXPECT_EQ(TestFront::header(none, "Content-Range"), "bytes */10");
  std::string many = front.get("/a.html", "Range: bytes=0-1,4-5\r\n");
  EXPECT_EQ(TestFront::header(many, "Content-Length"),
            std::to_string(TestFront::body(many).size()));
}
TEST(Filters, AddHeaderExpiresAndCharset) {
  TestFront front(in_server(R"(add_header A a; add_header B b always; expires max; charset utf-8;
      location /v { expires $arg_e; return 200 x; })"));
  front.file("a.html", "x");
  std::string good = front.get("/a.html");
  EXPECT_EQ(TestFront::header(good, "Cache-Control"), "max-age=315360000");
  EXPECT_EQ(TestFront::header(good, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(TestFront::header(good, "A") + TestFront::header(good, "B"), "ab");
  std::string bad = front.get("/no");
  EXPECT_EQ(TestFront::header(bad, "A") + TestFront::header(bad, "B"), "(none)b");
  EXPECT_EQ(TestFront::header(bad, "Expires"), "(none)");
  EXPECT_EQ(TestFront::header(front.get("/v?e=epoch"), "Cache-Control"), "no-cache");
  EXPECT_EQ(TestFront::header(front.get("/v?e=1h"), "Cache-Control"), "max-age=3600");
}

// ---- applications -------------------------------------------------------------------------------
constexpr const char* kPhp =
    R"(set $path_info ""; location / { try_files $uri $uri/ /index.php?$args; }
    location ~ \.php(/|$) { fastcgi_split_path_info ^(.+?\.php)(/.*)$;
        try_files $fastcgi_script_name =404;
      set $path_info $fastcgi_path_info;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param PATH_INFO $fastcgi_path_info; fastcgi_param SAVED $path_info;
      fastcgi_param EMPTY $https if_not_empty; fastcgi_param REAL $realpath_root;
      fastcgi_param HTTP_GONE ""; fastcgi_pass unix:/one.sock; })";

TEST(App, GetsItsParametersFromTheSitesRing) {
  TestFront front(in_server(kPhp));
  ASSERT_EQ(front.problem, "");
  front.file("index.php", "x");
  front.file("a.php", "x");
  EXPECT_EQ(outcome(front, "/nothing?k=v"), "200 app");
  EXPECT_EQ(front.exchange.target.kind, AppTarget::Kind::kSite);
  EXPECT_EQ(front.exchange.target.site, 1u);
}
TEST(App, TryFilesResetsPathInfoAsInNginx) {
  TestFront front(in_server(kPhp));
  front.file("a.php", "x");
  front.get("/a.php/more", "Proxy: evil\r\nGone: x\r\nX-Some-Thing: 1\r\n");
  auto& params = front.output.params;
  EXPECT_EQ(params["SCRIPT_FILENAME"], front.root + "/a.php");
  EXPECT_EQ(params["PATH_INFO"], "");
  EXPECT_EQ(params["SAVED"], "/more");
  EXPECT_EQ(params["REAL"], front.root);
  EXPECT_EQ(params["HTTP_X_SOME_THING"], "1");
  EXPECT_EQ(params.count("EMPTY") + params.count("HTTP_PROXY") + params.count("HTTP_GONE"), 0u);
}
TEST(App, ItsHeadBecomesTheResponse) {
  TestFront front(
      in_server(R"(location / { fastcgi_pass unix:/one.sock; fastcgi_hide_header X-Secret;
      fastcgi_intercept_errors on; error_page 404 /e.html; } location = /e.html {}
        location /prot/ { internal; })"));
  front.file("e.html", "page");
  front.file("prot/f.html", "protected");
  front.output.app = [](Exchange& ex) {
    std::string_view uri = ex.uri;
    if (uri == "/404") return "Status: 404 Not here\r\nX-Q: q\r\n\r\nown";
    if (uri == "/402") return "Status: 402 Pay\r\nX-Secret: s\r\nX-Vis: v\r\n\r\npay";
    if (uri == "/loc") return "Location: /rel\r\n\r\n";
    if (uri == "/accel")
      return "X-Accel-Redirect: /prot/f.html\r\nSet-Cookie: a=b\r\nX-O: o\r\n\r\n";
    if (uri == "/escape") return "X-Accel-Redirect: /../etc/passwd\r\n\r\n";
    if (uri == "/bad") return "no colon here\r\n\r\n";
    return "";
  };
  EXPECT_EQ(outcome(front, "/404"), "404 page");
  std::string paid = front.get("/402");
  EXPECT_TRUE(paid.starts_with("HTTP/1.1 402 Pay\r\n"));
  EXPECT_EQ(TestFront::header(paid, "X-Secret") + TestFront::header(paid, "X-Vis"), "(none)v");
  EXPECT_EQ(TestFront::status(front.get("/loc")), "302");
  std::string accel = front.get("/accel");
  EXPECT_EQ(TestFront::body(accel), "protected");
  EXPECT_EQ(TestFront::header(accel, "Set-Cookie") + TestFront::header(accel, "X-O"), "a=b(none)");
  EXPECT_EQ(TestFront::status(front.get("/escape")), "404");
  EXPECT_EQ(TestFront::status(front.get("/bad")), "502");
  EXPECT_EQ(TestFront::status(front.get("/refused")), "502");
  EXPECT_TRUE(
      logged(front, "connect() failed (111: Connection refused) while connecting to upstream"));
  EXPECT_TRUE(logged(front, "upstream: \"fastcgi://unix:/one.sock:\""));
}
TEST(App, TheNextPeerIsTriedOnceEach) {
  TestFront front("upstream u { server unix:/a.sock; server unix:/b.sock; } " +
                  in_server("location / { fastcgi_pass u; }"));
  ASSERT_EQ(front.problem, "");
  int calls = 0;
  front.output.app = [&calls](Exchange&) {
    return ++calls == 1 ? "" : "Content-type: a/b\r\n\r\nsecond";
  };
  EXPECT_EQ(outcome(front, "/"), "200 second");
  front.output.app = [](Exchange&) { return ""; };
  EXPECT_EQ(TestFront::status(front.get("/")), "502");
}
TEST(App, StderrIsLoggedInNginxsForm) {
  TestFront front(in_server("location / { fastcgi_pass unix:/one.sock; }"));
  front.output.app = [&front](Exchange& ex) {
    front.phases->on_app_stderr(ex, "PHP message: PHP Warning:  x in /a.php on line 1\n");
    return "Content-type: a/b\r\n\r\n";
  };
  front.get("/");
  EXPECT_TRUE(logged(front,
                     ": *7 FastCGI sent in stderr: \"PHP message: PHP Warning:  x in /a.php on "
                     "line 1\" while reading response header from upstream, client: 127.0.0.1"));
}

// ---- logs ---------------------------------------------------------------------------------------
TEST(AccessLog, EscapesAsTheFormatSays) {
  TestFront front(
      R"(log_format d '"$http_x" $remote_user $status';
        log_format j escape=json '{"x":"$http_x$remote_user"}';
      server { listen 80; access_log /d.log d; access_log /j.log j;
        access_log /c.log d if=$arg_log; return 200 x; })");
  ASSERT_EQ(front.problem, "");
  front.get("/", "X: a\"b\\\xc3\r\n");
  EXPECT_EQ(front.output.access, "\"a\\x22b\\x5C\\xC3\" - 200\n{\"x\":\"a\\\"b\\\\\xc3\"}\n");
}
TEST(Phases, ServesAgainAndAgainFromTheSameExchange) {
  TestFront front(in_server("location /t { return 200 $uri$args; }"));
  front.file("a.html", "x");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(outcome(front, "/a.html"), "200 x");
    EXPECT_EQ(outcome(front, "/t?q"), "200 /tq");
    EXPECT_EQ(TestFront::status(front.get("/none")), "404");
  }
}

}  // namespace
}  // namespace bulkhead::front
