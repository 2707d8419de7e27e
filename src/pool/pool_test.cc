// The real thing in small: a zygote, pools forked from it, requests through the ring.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "php/engine.h"
#include "pool/testing_site.h"
#include "pool/zygote.h"
#include "sys/process.h"

namespace bulkhead::pool {
namespace {

using namespace testing_site;

class Pools : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Socketpair pair = make_pair();
    zygote_pid_ = fork();
    if (zygote_pid_ == 0) {
      pair.ours.reset();
      php::StartOptions options;
      // With JIT the shared memory has executable parts, which the private copy must keep.
      options.defines = {"opcache.file_update_protection=0", "opcache.memory_consumption=16",
                         "opcache.jit_buffer_size=4M", "opcache.jit=tracing"};
      sys::close_descriptors_from(3, {pair.theirs});  // what the test runner left open
      if (!php::start(options)) _exit(1);
      _exit(run_zygote(std::move(pair.theirs), ""));
    }
    zygote_ = std::move(pair.ours);
    auto ready = receive(zygote_, 20s);
    ASSERT_TRUE(ready);
    ASSERT_EQ(ready->op, ipc::Op::kReady);
    char dir[] = "/tmp/bh-pool-XXXXXX";
    root_ = mkdtemp(dir);
    chmod(dir, 0777);
  }
  static void TearDownTestSuite() {
    zygote_.reset();
    int status = 0;
    waitpid(zygote_pid_, &status, 0);
    EXPECT_EQ(status, 0);
    ASSERT_EQ(system(("rm -r " + root_).c_str()), 0);
  }

  static config::PoolConfig pool(const std::string& name) {
    config::PoolConfig c;
    c.name = name;
    c.user = name == "two" ? "games" : "www-data";
    c.group = c.user;
    c.pm = config::Pm::kStatic;
    c.max_children = 1;
    c.limit_extensions = {".php"};
    return c;
  }
  static std::string script(const std::string& name, const std::string& code) {
    const std::string path = root_ + "/" + name;
    std::ofstream(path) << "<?php " << code;
    return path;
  }
  static inline std::string root_;
  static inline pid_t zygote_pid_;
  static inline sys::Fd zygote_;
};

TEST_F(Pools, AnswerARequestThroughTheRing) {
  const auto hello = script("hello.php",
                            "echo 'Hello, ', get_current_user() != '', ' ', "
                            "$_SERVER['USER'] ?? '-', \"\\n\";");
  const auto start = Clock::now();
  Site site(zygote_, pool("one"), 1);
  const auto r = site.get(hello);
  const auto first = Clock::now() - start;
  EXPECT_EQ(r.head, "Content-type: text/html; charset=UTF-8\r\n\r\n");
  EXPECT_EQ(r.body, "Hello, 1 www-data\n");
  EXPECT_TRUE(r.ended);
  EXPECT_GT(r.end.memory_peak, 0u);
  EXPECT_TRUE(site.saw(ipc::Op::kReady));
  printf(
      "fork to response: %lld us\n",
      static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(first).count()));
  const auto cpu_us = [](const std::string& pid) {
    int64_t ns = 0;
    std::ifstream("/proc/" + pid + "/schedstat") >> ns;
    return static_cast<long long>(ns / 1000);
  };
  const std::string worker = site.get(script("me.php", "echo getmypid();")).body;
  printf("CPU until then: pool %lld us, worker %lld us\n", cpu_us(std::to_string(site.pid)),
         cpu_us(worker));
  const long long cpu_before = cpu_us(worker);
  constexpr int kRounds = 5000;
  const auto loop_start = Clock::now();
  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(site.get(hello).ended);
  printf("round trip: %lld ns\n",
         static_cast<long long>((Clock::now() - loop_start).count() / kRounds));
  printf("CPU of the worker: %lld ns per request\n",
         (cpu_us(worker) - cpu_before) * 1000 / kRounds);
}

TEST_F(Pools, HaveAnOpcacheEach) {
  const auto a = script("a.php", "echo 1;");
  const auto list =
      script("list.php",
             "$n = array_map('basename', array_keys(opcache_get_status()['scripts']));"
             "sort($n); echo ini_get('opcache.enable'), ' ', implode(' ', $n);");
  Site one(zygote_, pool("one"), 1);
  Site two(zygote_, pool("two"), 2);
  one.get(a);
  EXPECT_EQ(one.get(list).body, "1 a.php list.php");
  EXPECT_EQ(two.get(list).body, "1 list.php");
  EXPECT_EQ(one.get(list).body, "1 a.php list.php");
}

TEST_F(Pools, CannotReadANeighboursFileThroughTheCache) {
  if (getuid() != 0) GTEST_SKIP() << "needs two users";
  const auto secret = script("secret.php", "$s = 'secret'; echo $s;");
  chmod(secret.c_str(), 0400);
  ASSERT_EQ(chown(secret.c_str(), getpwnam("www-data")->pw_uid, 0), 0);
  const auto attack = script("attack.php", "include '" + secret + "'; echo 'after';");
  Site one(zygote_, pool("one"), 1);
  Site two(zygote_, pool("two"), 2);
  EXPECT_EQ(one.get(secret).body, "secret");
  const auto r = two.get(attack);
  EXPECT_EQ(r.body.find("secret\n"), std::string::npos);
  EXPECT_NE(r.body.find("after"), std::string::npos);
  EXPECT_NE(r.err.find("Failed to open stream: Permission denied"), std::string::npos) << r.err;
}

TEST_F(Pools, RunAsTheirUserWithTheirEnvironment) {
  auto config = pool("two");
  config.env = {{"FOO", "bar"}};
  const auto who = script("who.php",
                          "echo posix_geteuid(), ' ', getenv('FOO'), ' ', "
                          "implode(',', array_slice(array_keys($_SERVER), 0, 4)), ' ', "
                          "file_get_contents('/proc/self/cmdline') === false ? '' : 'x';");
  Site site(zygote_, config, 3);
  const auto r = site.get(who);
  const uid_t uid = getuid() == 0 ? getpwnam("games")->pw_uid : getuid();
  EXPECT_EQ(r.body.substr(0, r.body.find(" x")),
            std::to_string(uid) + " bar FOO,USER,HOME,SCRIPT_NAME");
}

TEST_F(Pools, StreamABodyAndALargeAnswer) {
  const auto echo = script("echo.php",
                           "$d = file_get_contents('php://input'); echo md5($d), ' ', "
                           "strlen($d), \"\\n\", str_repeat('x', 3000000);");
  Site site(zygote_, pool("one"), 4);
  const std::string body(1'000'000, 'b');
  const auto r = site.get(echo,
                          {{"REQUEST_METHOD", "POST"},
                           {"CONTENT_TYPE", "application/octet-stream"},
                           {"CONTENT_LENGTH", std::to_string(body.size())}},
                          body);
  EXPECT_EQ(r.body.substr(32, 9), " 1000000\n");
  EXPECT_EQ(r.body.size(), 41u + 3000000u);
}

TEST_F(Pools, ReportADeadWorkerAndReplaceIt) {
  const auto die = script("die.php", "posix_kill(posix_getpid(), 9);");
  const auto ok = script("ok.php", "echo 'ok';");
  Site site(zygote_, pool("one"), 5);
  const auto r = site.get(die);
  EXPECT_TRUE(r.dead);
  EXPECT_FALSE(r.ended);
  EXPECT_EQ(site.get(ok).body, "ok");
  EXPECT_TRUE(site.log_says(" exited on signal 9 (SIGKILL) after "));
  EXPECT_TRUE(site.log_says("2 child "));
}

TEST_F(Pools, ReplaceAWorkerAfterMaxRequests) {
  auto config = pool("one");
  config.max_requests = 2;
  const auto pid = script("pid.php", "echo getmypid();");
  Site site(zygote_, config, 6);
  const auto a = site.get(pid).body, b = site.get(pid).body, c = site.get(pid).body;
  EXPECT_EQ(a, b);
  EXPECT_NE(b, c);
  EXPECT_TRUE(site.log_says("exited with code 0 after"));
}

TEST_F(Pools, ForkOnDemand) {
  auto config = pool("one");
  config.pm = config::Pm::kOndemand;
  config.max_children = 3;
  const auto slow = script("slow.php", "usleep(200000); echo getmypid();");
  Site site(zygote_, config, 7);
  Params p = {{"REQUEST_METHOD", "GET"}, {"SCRIPT_FILENAME", slow}, {"SCRIPT_NAME", "/slow.php"}};
  const int a = site.submit(p), b = site.submit(p), c = site.submit(p);
  const auto start = Clock::now();
  const auto ra = site.wait(a), rb = site.wait(b), rc = site.wait(c);
  EXPECT_LT(Clock::now() - start, 900ms);
  EXPECT_NE(ra.body, rb.body);
  EXPECT_NE(rb.body, rc.body);
}

TEST_F(Pools, TerminateARequestThatTakesTooLong) {
  auto config = pool("one");
  config.request_terminate_timeout_s = 1;
  const auto sleep = script("sleep.php", "sleep(20);");
  Site site(zygote_, config, 8);
  const auto r = site.get(sleep);
  EXPECT_TRUE(r.dead);
  EXPECT_TRUE(site.log_says("script '" + sleep +
                            "' (request: \"GET /sleep.php\") execution timed "
                            "out (1."));
  EXPECT_TRUE(site.log_says("exited on signal 15 (SIGTERM)"));
}

TEST_F(Pools, CatchWhatWorkersSay) {
  auto config = pool("one");
  config.catch_workers_output = true;
  const auto say = script("say.php",
                          "fwrite(fopen('php://stderr','w'), \"hello\\nthere\");"
                          "error_log('logged');");
  Site site(zygote_, config, 9);
  const auto r = site.get(say);
  EXPECT_EQ(r.err, "PHP message: logged");
  EXPECT_TRUE(site.log_says(" said into stderr: \"hello\"\n")) << site.all_log();
  EXPECT_TRUE(site.log_says(" said into stderr: \"thereNOTICE: PHP message: logged\"\n"))
      << site.all_log();
}

TEST_F(Pools, WriteTheAccessLogAndAnswerStatusAndPing) {
  auto config = pool("one");
  config.access_log = "x";
  config.access_format = "%R %u %{%Y}t \"%m %r%Q%q\" %s %n %{X-A}o %{FOO}e %l";
  config.ping_path = "/ping";
  config.status_path = "/status";
  config.access_suppress_paths = {"/quiet.php"};
  sys::Fd log(memfd_create("access", MFD_CLOEXEC));
  const auto quiet = script("quiet.php", "echo 1;");
  const auto page = script("page.php", "header('X-A: b');");
  Site site(zygote_, config, 10, log);
  site.get(quiet);
  site.get(page, {{"QUERY_STRING", "a=b"}, {"FOO", "bar"}});
  const auto ping = site.get(root_ + "/ping");
  EXPECT_EQ(ping.body, "pong");
  const auto status = site.get(root_ + "/status", {{"QUERY_STRING", "json&full"}});
  EXPECT_NE(status.body.find("\"accepted conn\":4,"), std::string::npos) << status.body;
  EXPECT_NE(status.body.find("\"request uri\":\"\\/status?json&full\""), std::string::npos);
  char text[4096] = "";
  ASSERT_GT(pread(log.get(), text, sizeof text - 1, 0), 0);
  const time_t now = time(nullptr);
  const std::string year = std::to_string(localtime(&now)->tm_year + 1900);
  EXPECT_EQ(std::string(text), "-  " + year + " \"GET /page.php?a=b\" 200 one b bar 0\n-  " + year +
                                   " \"GET /ping\" 200 one - - 0\n-  " + year +
                                   " \"GET /status?json&full\" 200 one - - 0\n");
}

TEST_F(Pools, SayWhatSettingsCouldNotBeApplied) {
  auto config = pool("one");
  config.php_values = {{"nosuch", "1", config::PhpDefine::Kind::kAdminValue},
                       {"extension", "nosuch", config::PhpDefine::Kind::kAdminValue}};
  Site site(zygote_, config, 11);
  EXPECT_TRUE(site.log_says("4 Unable to set php_admin_value 'nosuch'"));
  EXPECT_TRUE(
      site.log_says("2 PHP message: PHP Warning:  Unknown: Unable to load dynamic library"));
}

TEST_F(Pools, FailWithAReasonWhenTheUserIsNotWhoItShouldBe) {
  if (getuid() != 0) GTEST_SKIP() << "needs two users";
  auto config = pool("one");
  config.chdir = "/nonexistent";
  Site site(zygote_, config, 12);
  EXPECT_TRUE(site.saw(ipc::Op::kPoolFailed));
  EXPECT_NE(site.failure.find("/nonexistent"), std::string::npos) << site.failure;
  EXPECT_TRUE(site.wait_for_end());
  site.pid = -1;
}

TEST_F(Pools, FinishRunningRequestsWhenStoppedGracefully) {
  const auto slow =
      script("slow2.php", "$t = microtime(true) + 0.3; while (microtime(true) < $t); echo 'done';");
  Site site(zygote_, pool("one"), 13);
  site.get(script("ok2.php", "echo 1;"));
  const int slot = site.submit(
      {{"REQUEST_METHOD", "GET"}, {"SCRIPT_FILENAME", slow}, {"SCRIPT_NAME", "/slow2.php"}});
  const char graceful = 1;
  send(site.master(), ipc::Op::kStop, std::string_view(&graceful, 1));
  EXPECT_EQ(site.wait(slot).body, "done");
  EXPECT_TRUE(site.wait_for_end());
  site.pid = -1;
}

TEST_F(Pools, EndTheirWorkersWhenTheyAreKilled) {
  const auto pid = script("pid2.php", "echo getmypid();");
  Site site(zygote_, pool("one"), 14);
  const pid_t worker = atoi(site.get(pid).body.c_str());
  kill(site.pid, SIGKILL);
  EXPECT_TRUE(site.wait_for_end());
  site.pid = -1;
  const auto runs = [&] {  // nobody may have reaped it yet
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string text;
    return std::getline(stat, text) && text.find(") Z ") == std::string::npos;
  };
  for (int i = 0; i < 200 && runs(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(runs());
}

TEST_F(Pools, SayWhenTheyAreIdle) {
  auto config = pool("one");
  config.idle_timeout_s = 1;
  Site site(zygote_, config, 15);
  EXPECT_TRUE(site.saw(ipc::Op::kIdle));
}

}  // namespace
}  // namespace bulkhead::pool
