// libphp under the engine, with requests from memory.  One process starts PHP once.
#include "php/engine.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "php/directory.h"

namespace bulkhead::php {
namespace {

class MemorySource final : public RequestSource {
 public:
  MemorySource(std::vector<std::pair<std::string, std::string>> params, std::string body)
      : params_(std::move(params)), body_(std::move(body)) {
    for (const auto& [name, value] : params_) {
      views_.push_back({name.c_str(), static_cast<uint32_t>(name.size()), value.c_str(),
                        static_cast<uint32_t>(value.size())});
    }
  }
  std::span<const Param> params() const noexcept override { return views_; }
  size_t read_body(char* to, size_t size) noexcept override {
    const size_t n = std::min(size, body_.size() - read_);
    body_.copy(to, n, read_);
    read_ += n;
    return n;
  }
  bool write_head(std::string_view block) noexcept override {
    head.append(block);
    return !gone;
  }
  bool write_body(std::string_view bytes) noexcept override {
    if (gone) return false;
    body.append(bytes);
    ++writes;
    return true;
  }
  bool write_stderr(std::string_view text) noexcept override {
    err.append(text);
    return true;
  }
  bool flush() noexcept override {
    ++flushes;
    return !gone;
  }
  void finish(const Usage&, Finish) noexcept override {
    ++finishes;
    body_at_finish = body;
  }

  std::string head, body, err, body_at_finish;
  int flushes = 0, finishes = 0, writes = 0;
  bool gone = false;

 private:
  std::vector<std::pair<std::string, std::string>> params_;
  std::vector<Param> views_;
  std::string body_;
  size_t read_ = 0;
};

class NoHooks final : public RequestHooks {
 public:
  void on_info(const RequestView&) noexcept override {}
  bool answer(const RequestView& view, Answer* answer) noexcept override {
    if (std::string_view(view.uri) != "/ping") return false;
    answer->headers = {"Content-Type: text/plain"};
    answer->body = "pong";
    return true;
  }
  void on_executing() noexcept override { ++executed; }
  void on_end(int status, uint64_t) noexcept override { last_status = status; }
  uint32_t cpu_us() noexcept override { return 0; }
  bool status(PoolStatus* status) noexcept override {
    status->pool = "p";
    status->workers.emplace_back();
    return true;
  }
  int executed = 0, last_status = 0;
};

class Engine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    char dir[] = "/tmp/bh-php-XXXXXX";
    root_ = mkdtemp(dir);
    StartOptions options;
    options.defines = {"opcache.revalidate_freq=0", "opcache.file_update_protection=0",
                       "precision=12"};
    ASSERT_TRUE(start(options));
    PoolSettings settings;
    settings.limit_extensions = {".php"};
    settings.ini = {{"precision", "7", false, false},
                    {"memory_limit", "77M", true, false},
                    {"log_errors", "on", true, true},
                    {"disable_functions", "symlink, link", true, false},
                    {"disable_classes", "SplStack", true, false},
                    {"no.such.entry", "1", true, false}};
    apply_pool(
        settings, [](LogLevel, std::string_view text, void*) { log_.append(text).append("\n"); },
        nullptr);
    startup_log_ = log_;
    static std::atomic<int32_t> words[2];
    enter_worker({opcache_lock(), words, sizeof words[0], 2, 0});
  }
  // The descriptor opcache keeps for its locks.
  static int opcache_lock() {
    for (int fd = 3; fd < 64; ++fd) {
      char name[PATH_MAX] = "";
      const std::string link = "/proc/self/fd/" + std::to_string(fd);
      if (readlink(link.c_str(), name, sizeof name - 1) < 0) continue;
      const std::string_view text(name);
      if (text.find("opcache_lock") != text.npos || text.find(".ZendSem.") != text.npos) return fd;
    }
    return -1;
  }
  static void TearDownTestSuite() {
    stop();
    ASSERT_EQ(system(("rm -r " + root_).c_str()), 0);
  }

  static std::string write(const std::string& name, const std::string& text) {
    const std::string path = root_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  using Params = std::vector<std::pair<std::string, std::string>>;
  static Params request(const std::string& script, Params more = {}) {
    Params p = {{"QUERY_STRING", ""},
                {"REQUEST_METHOD", "GET"},
                {"SCRIPT_FILENAME", root_ + script},
                {"SCRIPT_NAME", script},
                {"DOCUMENT_ROOT", root_}};
    for (auto& item : more) p.push_back(std::move(item));
    return p;
  }
  MemorySource run(Params params, std::string body = "") {
    MemorySource source(std::move(params), std::move(body));
    EXPECT_EQ(serve(source, hooks_), Served::kDone);
    return source;
  }
  MemorySource run_code(const std::string& code, Params more = {}, std::string body = "") {
    static int count = 0;  // a new name each time: opcache trusts an old one for a second
    const std::string name = "code" + std::to_string(++count) + ".php";
    write(name, "<?php " + code);
    return run(request("/" + name, std::move(more)), std::move(body));
  }
  NoHooks hooks_;
  static inline std::string root_, log_, startup_log_;
};

TEST_F(Engine, PresentsItselfAsPhpFpm) {
  const auto r = run_code("echo PHP_SAPI, ' ', php_sapi_name();");
  EXPECT_EQ(r.body, "fpm-fcgi fpm-fcgi");
  EXPECT_EQ(r.head, "Content-type: text/html; charset=UTF-8\r\n\r\n");
  EXPECT_EQ(r.finishes, 1);
}

TEST_F(Engine, ListsServerVariablesInPhpFpmsOrder) {
  const auto r = run_code(
      "unset($_SERVER['REQUEST_TIME'],$_SERVER['REQUEST_TIME_FLOAT']);"
      "echo implode(',', array_keys(array_diff_key($_SERVER, getenv_process())));"
      "function getenv_process(){return array_flip(explode(',', "
      "$_SERVER['SKIP']));}",
      {{"SKIP", [] {
          std::string names = "SKIP";
          for (char** e = environ; *e != nullptr; ++e) {
            names += "," + std::string(*e, strcspn(*e, "="));
          }
          return names;
        }()}});
  EXPECT_EQ(r.body,
            "DOCUMENT_ROOT,SCRIPT_NAME,SCRIPT_FILENAME,REQUEST_METHOD,QUERY_STRING,FCGI_ROLE,"
            "PHP_SELF");
}

TEST_F(Engine, MovesPathInfoOffTheScript) {
  write("info.php",
        "<?php foreach (['PATH_INFO','ORIG_PATH_INFO','SCRIPT_NAME','ORIG_SCRIPT_NAME',"
        "'SCRIPT_FILENAME','ORIG_SCRIPT_FILENAME','PATH_TRANSLATED','PHP_SELF'] as $k)"
        " echo $k,'=',$_SERVER[$k] ?? '-',\"\\n\";");
  const auto r = run(request("/info.php/a/b", {{"PATH_INFO", "/info.php/a/b"}}));
  EXPECT_EQ(r.body,
            "PATH_INFO=/a/b\nORIG_PATH_INFO=/info.php/a/b\nSCRIPT_NAME=/info.php\n"
            "ORIG_SCRIPT_NAME=/info.php/a/b\nSCRIPT_FILENAME=" +
                root_ + "/info.php\nORIG_SCRIPT_FILENAME=" + root_ +
                "/info.php/a/b\nPATH_TRANSLATED=" + root_ + "/a/b\nPHP_SELF=/info.php/a/b\n");
}

TEST_F(Engine, AnswersAMissingScriptAsPhpFpm) {
  const auto r = run(request("/none.php"));
  EXPECT_EQ(r.head, "Status: 404 Not Found\r\nContent-type: text/html; charset=UTF-8\r\n\r\n");
  EXPECT_EQ(r.body, "File not found.\n");
  EXPECT_EQ(r.err, "Primary script unknown");
  EXPECT_EQ(hooks_.executed, 0);
}

TEST_F(Engine, RefusesOtherExtensions) {
  write("a.txt", "x");
  const auto r = run(request("/a.txt"));
  EXPECT_EQ(r.head.substr(0, 23), "Status: 403 Forbidden\r\n");
  EXPECT_EQ(r.body, "Access denied.\n");
  EXPECT_EQ(r.err, "Access to the script '" + root_ +
                       "/a.txt' has been denied (see security.limit_extensions)");
}

TEST_F(Engine, RefusesDotDotInThePath) {
  write("a.php", "<?php echo 1;");
  const auto r = run(request("/../" + root_.substr(5) + "/a.php"));
  EXPECT_EQ(r.body, "File not found.\n");
}

TEST_F(Engine, AppliesPoolSettingsForGood) {
  EXPECT_EQ(startup_log_, "Unable to set php_admin_value 'no.such.entry'\n");
  for (int i = 0; i < 2; ++i) {
    const auto r = run_code(
        "ini_set('memory_limit','99M'); ini_set('precision','9');"
        "echo ini_get('memory_limit'),' ',ini_get('precision'),' ',"
        "(int)function_exists('symlink'),' ',ini_get('log_errors'),' "
        "',ini_get('disable_functions');");
    EXPECT_EQ(r.body, "77M 9 0 1 symlink, link");
  }
  EXPECT_EQ(run_code("echo ini_get('precision');").body, "7");
}

TEST_F(Engine, AppliesPhpValueToItsRequestOnly) {
  const auto r = run_code("echo ini_get('precision'), (int)ini_set('precision', 3);",
                          {{"PHP_ADMIN_VALUE", "precision=5"}});
  EXPECT_EQ(r.body, "50");
  EXPECT_EQ(run_code("echo ini_get('precision'), ini_set('precision', 3);").body, "77");
  const auto bad = run_code("echo 1;", {{"PHP_VALUE", "nosuch=1"}});
  EXPECT_EQ(bad.err, "Passing INI directive through FastCGI: unable to set 'nosuch'");
}

TEST_F(Engine, ReadsABodyWithinItsLength) {
  const auto r = run_code("echo file_get_contents('php://input'), @$_POST['a'];",
                          {{"REQUEST_METHOD", "POST"},
                           {"CONTENT_TYPE", "application/x-www-form-urlencoded"},
                           {"CONTENT_LENGTH", "5"}},
                          "a=123456");
  EXPECT_EQ(r.body, "a=123123");
}

TEST_F(Engine, SendsLogLinesToTheRequestsStderr) {
  const auto r = run_code("error_log(\"one\\ntwo\"); error_log(str_repeat('x', 3000)); nosuch();");
  const std::string first = "PHP message: one\ntwo; PHP message: xxx";
  EXPECT_EQ(r.err.substr(0, first.size()), first);
  EXPECT_NE(r.err.find("xx...; PHP message: PHP Fatal error:  Uncaught Error: Call to undefined"),
            std::string::npos);
  EXPECT_EQ(r.err.find("; PHP message: PHP Fatal") - std::string("PHP message: one\ntwo; ").size(),
            1015u);
  EXPECT_EQ(r.head.substr(0, 35), "Status: 500 Internal Server Error\r\n");
}

TEST_F(Engine, FinishesEarlyOnRequest) {
  const auto r = run_code(
      "echo 'a'; var_dump(fastcgi_finish_request()); echo 'b'; "
      "file_put_contents(__DIR__.'/after', 'x'); var_dump(fastcgi_finish_request());");
  EXPECT_EQ(r.body, "a");
  EXPECT_EQ(r.finishes, 1);
  EXPECT_EQ(access((root_ + "/after").c_str(), F_OK), 0);
}

TEST_F(Engine, StopsAScriptWhoseClientIsGone) {
  write("gone.php",
        "<?php register_shutdown_function(function(){file_put_contents(__DIR__.'/gone',"
        "connection_status());}); while (ob_get_level()) ob_end_clean();"
        "echo str_repeat('x', 20000); file_put_contents(__DIR__.'/not', 'x');");
  MemorySource source(request("/gone.php"), "");
  source.gone = true;
  EXPECT_EQ(serve(source, hooks_), Served::kDone);
  EXPECT_EQ(access((root_ + "/not").c_str(), F_OK), -1);
  EXPECT_EQ(access((root_ + "/gone").c_str(), F_OK), 0);
}

TEST_F(Engine, FlushesWhenAsked) {
  const auto r = run_code("ob_end_flush(); echo 'a'; flush(); echo 'b'; flush();");
  EXPECT_EQ(r.flushes, 2);
  EXPECT_EQ(r.writes, 2);
}

TEST_F(Engine, KeepsStatusLineRules) {
  EXPECT_EQ(run_code("header('HTTP/1.1 418 Tea pot');").head.substr(0, 21),
            "Status: 418 Tea pot\r\n");
  EXPECT_EQ(run_code("http_response_code(299);").head.substr(0, 13), "Status: 299\r\n");
  EXPECT_EQ(run_code("header('Status: 404 Gone fishing');").head.substr(0, 26),
            "Status: 404 Gone fishing\r\n");
  EXPECT_EQ(run_code("http_response_code(304);").head, "Status: 304 Not Modified\r\n\r\n");
}

TEST_F(Engine, LetsThePoolAnswer) {
  auto params = request("/ping");
  const auto r = run(params);
  EXPECT_EQ(r.body, "pong");
  EXPECT_EQ(r.head, "Content-type: text/plain;charset=UTF-8\r\n\r\n");
}

TEST_F(Engine, GivesRequestHeadersAndStatus) {
  const auto r =
      run_code("echo json_encode(getallheaders()), fpm_get_status()['procs'][0]['user'];",
               {{"HTTP_X_FOO_BAR", "1"}, {"CONTENT_TYPE", "t"}});
  EXPECT_EQ(r.body, R"({"Content-Type":"t","X-Foo-Bar":"1"}-)");
}

TEST_F(Engine, DecodesBasicAuthorization) {
  const auto r = run_code("echo $_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'];",
                          {{"HTTP_AUTHORIZATION", "Basic dTpw"}});
  EXPECT_EQ(r.body, "up");
}

TEST_F(Engine, ReadsUserIni) {
  mkdir((root_ + "/sub").c_str(), 0755);
  write(".user.ini", "precision=4\nmemory_limit=5M\n");
  write("sub/.user.ini", "serialize_precision=6\n");
  write("sub/u.php",
        "<?php echo ini_get('precision'),ini_get('serialize_precision'),ini_get('memory_limit');");
  EXPECT_EQ(run(request("/sub/u.php")).body, "4677M");
  unlink((root_ + "/.user.ini").c_str());
}

TEST_F(Engine, HeadSendsNoBody) {
  const auto r = run_code("echo 'abc'; echo 'def';", {{"REQUEST_METHOD", "HEAD"}});
  EXPECT_EQ(r.body, "");
  EXPECT_NE(r.head, "");
}

TEST_F(Engine, UsesOpcache) {
  run_code("echo 1;");
  const auto r = run_code("$s = opcache_get_status(false); echo (int)$s['opcache_enabled'];");
  EXPECT_EQ(r.body, "1");
}

TEST_F(Engine, UsesCachedScriptsWithoutALockOfTheKernel) {
  write("cached.php", "<?php echo 1;");
  run(request("/cached.php"));
  const CacheLockCounts before = cache_lock_counts();
  EXPECT_EQ(run(request("/cached.php")).body, "1");
  EXPECT_EQ(cache_lock_counts().asked, before.asked + 2) << "opcache locks in some other way";
  EXPECT_EQ(cache_lock_counts().passed_on, before.passed_on);
}

TEST_F(Engine, EntersAScriptsDirectoryOnceWhileNobodyLeavesIt) {
  ASSERT_EQ(mkdir((root_ + "/one").c_str(), 0755), 0);
  ASSERT_EQ(mkdir((root_ + "/two").c_str(), 0755), 0);
  for (const char* name : {"one/where.php", "two/where.php"}) write(name, "<?php echo getcwd();");
  write("one/leave.php", "<?php chdir('/'); echo getcwd();");
  uint64_t changes = 1;
  for (int tries = 0; changes != 0 && tries < 1000;
       ++tries) {  // each on a machine that may be busy
    run(request("/one/where.php"));
    changes = directory_changes();
    EXPECT_EQ(run(request("/one/where.php")).body, root_ + "/one");
    changes = directory_changes() - changes;
  }
  EXPECT_EQ(changes, 0);
  EXPECT_EQ(run(request("/two/where.php")).body, root_ + "/two");
  EXPECT_EQ(run(request("/one/where.php")).body, root_ + "/one");
  EXPECT_EQ(run(request("/one/leave.php")).body, "/");
  EXPECT_EQ(run(request("/one/where.php")).body, root_ + "/one");
}

TEST_F(Engine, SurvivesExitAndDeepRecursionOfOutput) {
  EXPECT_EQ(run_code("ob_start(); echo 'x'; exit(3);").body, "x");
  EXPECT_EQ(run_code("echo 'y';").body, "y");
}

// Not a test of time: prints what a one-line request costs the worker.
TEST_F(Engine, CostsMicrosecondsPerOneLineRequest) {
  write("hello.php", "<?php echo \"Hello, world\\n\";");
  const auto params = request("/hello.php");
  run(params);
  const auto start_time = std::chrono::steady_clock::now();
  constexpr int kRounds = 20000;
  for (int i = 0; i < kRounds; ++i) {
    MemorySource source(params, "");
    ASSERT_EQ(serve(source, hooks_), Served::kDone);
  }
  const auto spent = std::chrono::steady_clock::now() - start_time;
  RecordProperty("ns_per_request", static_cast<int>(spent.count() / kRounds));
  printf("%lld ns per request\n", static_cast<long long>(spent.count() / kRounds));
}

}  // namespace
}  // namespace bulkhead::php
