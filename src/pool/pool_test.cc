// The real thing in small: a zygote, pools forked from it, requests through the ring.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "config/pool_config.h"
#include "ipc/channel.h"
#include "ipc/protocol.h"
#include "ipc/site_channel.h"
#include "php/engine.h"
#include "pool/zygote.h"
#include "ring/front_ring.h"
#include "sys/message.h"
#include "sys/process.h"

namespace bulkhead::pool {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Params = std::vector<std::pair<std::string, std::string>>;

struct Socketpair {
  sys::Fd ours, theirs;
};
Socketpair make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  return {sys::Fd(ends[0]), sys::Fd(ends[1])};
}

struct Message {
  ipc::Op op{};
  std::string payload;
  std::vector<sys::Fd> fds;
};
// The next message within `timeout`.
std::optional<Message> receive(sys::FdRef socket, std::chrono::milliseconds timeout = 5000ms) {
  pollfd p{socket.get(), POLLIN, 0};
  if (poll(&p, 1, static_cast<int>(timeout.count())) <= 0) return {};
  std::vector<char> buffer(ipc::kMaxPayload + 64);
  size_t size = 0;
  Message m;
  if (sys::receive_message(socket, buffer, &size, &m.fds) != sys::ReceiveResult::kMessage) {
    return {};
  }
  std::string_view payload;
  const auto header = ipc::read_body<ipc::Header>({buffer.data(), size}, &payload);
  m.op = static_cast<ipc::Op>(header->op);
  m.payload = payload;
  return m;
}

void send(sys::FdRef socket, ipc::Op op, std::string_view payload,
          const std::vector<sys::FdRef>& fds = {}) {
  const ipc::Header header{static_cast<uint16_t>(op), static_cast<uint16_t>(fds.size()),
                           static_cast<uint32_t>(payload.size())};
  ASSERT_EQ(sys::send_message(socket, ipc::body_bytes(header), payload, fds),
            sys::SendResult::kSent);
}

struct Response {
  std::string head, body, err;
  bool ended = false, dead = false;
  ring::EndBody end{};
};

// One site: what master and front would hold of it.
class Site {
 public:
  Site(sys::FdRef zygote, config::PoolConfig config, uint32_t id, sys::FdRef access_log = {})
      : config_(std::move(config)) {
    bell_ = std::move(*sys::create_shared("bell", ring::kBellBytes));
    segment_ = std::move(*sys::create_shared("segment", ring::kSegmentBytes));
    wake_ = sys::Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    Socketpair master = make_pair(), channel = make_pair();
    master_ = std::move(master.ours);
    channel_ = std::move(channel.ours);
    sys::Fd memory(memfd_create("config", MFD_CLOEXEC));
    const std::string bytes = config::serialise(config_);
    EXPECT_EQ(write(memory.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ipc::ForkBody body{};
    body.site = id;
    body.loops = 1;
    body.config_bytes = bytes.size();
    body.has_access_log = access_log.valid() ? 1 : 0;
    if (getuid() == 0) {
      const passwd* user = getpwnam(config_.user.c_str());
      body.change_user = 1;
      body.uid = user->pw_uid;
      body.gid = user->pw_gid;
    }
    std::vector<sys::FdRef> fds = {memory, master.theirs};
    if (access_log.valid()) fds.push_back(access_log);
    fds.insert(fds.end(), {bell_, segment_, wake_, channel.theirs});
    send(zygote, ipc::Op::kFork, ipc::body_bytes(body), fds);
    auto forked = receive(zygote);
    if (forked && forked->op == ipc::Op::kForked) {
      pid = ipc::read_body<ipc::ForkedBody>(forked->payload)->pid;
      pidfd = std::move(forked->fds.at(0));
    }
    front_ = std::move(*ring::FrontRing::map(segment_, bell_, ring::kWorkersMax));
  }
  ~Site() { stop(); }

  void stop(char how = 0) {
    if (pid <= 0) return;
    send(master_, ipc::Op::kStop, std::string_view(&how, 1));
    EXPECT_TRUE(wait_for_end());
    pid = -1;
  }
  bool wait_for_end(std::chrono::milliseconds timeout = 5000ms) {
    pollfd p{pidfd.get(), POLLIN, 0};
    return poll(&p, 1, static_cast<int>(timeout.count())) == 1;
  }

  // Submits a request; the slot.
  int submit(const Params& params, const std::string& body = "") {
    const int slot = front_->acquire();
    ring::RequestWriter writer(front_->request_area(slot));
    for (const auto& [name, value] : params) writer.add(name, value);
    const std::string inline_part = body.substr(0, std::min<size_t>(body.size(), 1000));
    writer.finish(inline_part, body.size(), 0);
    EXPECT_TRUE(writer.ok());
    if (front_->submit(slot) == ring::Doorbell::kRing) {
      const ipc::FileRequest spawn{0, ipc::FileOp::kSpawn, {}, 0, 0, 0};
      EXPECT_EQ(sys::send_message(channel_, ipc::body_bytes(spawn), {}), sys::SendResult::kSent);
    }
    body_[slot] = body.substr(inline_part.size());
    return slot;
  }
  // Takes what has come; true when the response is complete and the slot given back.
  bool poll_response(int slot, Response& r) {
    feed_body(slot);
    ring::FrameView frame;
    while (front_->next_frame(slot, frame) == ring::Next::kFrame) {
      std::string bytes(frame.size, '\0');
      ring::FrontRing::copy_payload(frame, bytes);
      if (frame.kind == ring::Frame::kHead) r.head += bytes;
      if (frame.kind == ring::Frame::kBody) r.body += bytes;
      if (frame.kind == ring::Frame::kStderr) r.err += bytes;
      if (frame.kind == ring::Frame::kEnd) {
        r.ended = true;
        memcpy(&r.end, bytes.data(), std::min(bytes.size(), sizeof r.end));
      }
      front_->free_to(slot, frame.end);
    }
    r.dead |= front_->phase(slot) == ring::SlotPhase::kDead;
    return !front_->has_unread(slot) && front_->release(slot);
  }
  Response wait(int slot, std::chrono::milliseconds timeout = 5000ms) {
    Response r;
    const auto until = Clock::now() + timeout;
    while (!poll_response(slot, r)) {
      if (Clock::now() > until) {
        ADD_FAILURE() << "no response: " << all_log();
        break;
      }
      std::this_thread::yield();
    }
    return r;
  }
  Response get(const std::string& script, Params more = {}, const std::string& body = "") {
    Params p = {{"QUERY_STRING", ""},
                {"REQUEST_METHOD", "GET"},
                {"SCRIPT_FILENAME", script},
                {"SCRIPT_NAME", script.substr(script.rfind('/'))}};
    for (auto& item : more) p.push_back(item);
    return wait(submit(p, body));
  }
  // Log lines so far, one per line, "level text".
  std::string all_log() {
    while (auto m = receive(master_, 0ms)) note(*m);
    return log_;
  }
  // Waits until a log line contains `text`.
  bool log_says(const std::string& text, std::chrono::milliseconds timeout = 5000ms) {
    const auto until = Clock::now() + timeout;
    while (log_.find(text) == std::string::npos) {
      if (Clock::now() > until) return false;
      if (auto m = receive(master_, 100ms)) note(*m);
    }
    return true;
  }
  bool saw(ipc::Op op, std::chrono::milliseconds timeout = 5000ms) {
    const auto until = Clock::now() + timeout;
    while (ops_[op] == 0 && Clock::now() < until) {
      if (auto m = receive(master_, 100ms)) note(*m);
    }
    return ops_[op] > 0;
  }
  sys::FdRef master() const { return master_; }

  pid_t pid = -1;
  sys::Fd pidfd;
  std::string failure;

 private:
  void note(const Message& m) {
    ++ops_[m.op];
    if (m.op == ipc::Op::kLog) {
      log_ += std::to_string(m.payload[0]) + " " + m.payload.substr(1) + "\n";
    }
    if (m.op == ipc::Op::kPoolFailed) failure = m.payload;
  }
  void feed_body(int slot) {
    std::string& rest = body_[slot];
    while (!rest.empty()) {
      std::array<iovec, 2> pieces;
      const int n = front_->body_space(slot, pieces);
      if (n <= 0) return;
      const size_t size = std::min(rest.size(), pieces[0].iov_len);
      memcpy(pieces[0].iov_base, rest.data(), size);
      front_->body_commit(slot, static_cast<uint32_t>(size));
      rest.erase(0, size);
      if (rest.empty()) front_->body_finish(slot);
    }
  }

  config::PoolConfig config_;
  sys::Fd bell_, segment_, wake_, master_, channel_;
  std::unique_ptr<ring::FrontRing> front_;
  std::map<int, std::string> body_;
  std::map<ipc::Op, int> ops_;
  std::string log_;
};

class Pools : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Socketpair pair = make_pair();
    zygote_pid_ = fork();
    if (zygote_pid_ == 0) {
      pair.ours.reset();
      php::StartOptions options;
      options.defines = {"opcache.file_update_protection=0", "opcache.memory_consumption=16"};
      sys::close_descriptors_from(3, {pair.theirs});  // what the test runner left open
      if (!php::start(options)) _exit(1);
      _exit(run_zygote(std::move(pair.theirs)));
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
  constexpr int kRounds = 5000;
  const auto loop_start = Clock::now();
  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(site.get(hello).ended);
  printf("round trip: %lld ns\n",
         static_cast<long long>((Clock::now() - loop_start).count() / kRounds));
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
  if (getuid() != 0) GTEST_SKIP();
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
