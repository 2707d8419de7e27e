// FastcgiService with a web server and a site both played by the test.
#include "front/fastcgi_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "http/fastcgi.h"
#include "sys/sockets.h"
#include "sys/stream_connect.h"
#include "sys/stream_io.h"

namespace bulkhead::front {
namespace {

namespace fcgi = http::fcgi;

// A site's answer, scripted by the test.
struct FakeSite {
  struct Stream : AppStream {
    explicit Stream(FakeSite& owner) : site(owner) {}
    ~Stream() override { site.running = nullptr; }
    size_t write_body(std::string_view bytes) override {
      bytes = bytes.substr(0, site.room);
      site.room -= bytes.size();
      site.body += bytes;
      return bytes.size();
    }
    void finish_body() override { ++site.finished; }
    size_t peek(iovec* pieces, size_t max) override {
      if (site.output.empty()) return 0;
      pieces[0] = {site.output.data(), site.output.size()};
      return 1;
    }
    void consume(size_t bytes) override { site.output.erase(0, bytes); }
    [[nodiscard]] bool ended() const override { return site.ends && site.output.empty(); }
    bool take_flush() override { return false; }
    [[nodiscard]] const AppEnd& end() const override { return site.end; }
    FakeSite& site;
  };
  std::unique_ptr<AppStream> start(const AppRequest& request, AppListener* to) {
    ++started;
    params = *request.params;
    body_length = request.body_length;
    site = request.site;
    listener = to;
    body.clear();
    ends = false;
    finished = 0;
    auto stream = std::make_unique<Stream>(*this);
    running = stream.get();
    return stream;
  }
  void answer(std::string_view head, std::string text) {
    listener->on_app_head(head);
    output = std::move(text);
    ends = true;
    listener->on_app_readable();
  }
  Params params;
  uint64_t body_length = 0;
  uint32_t site = 0;
  AppListener* listener = nullptr;
  AppStream* running = nullptr;
  std::string body, output;
  size_t room = SIZE_MAX;
  bool ends = false;
  int started = 0, finished = 0;
  AppEnd end;
};

class FastcgiServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/bulkhead-fcgi-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/socket";
    sockaddr_ = *sys::make_unix_address(path_);
    auto socket = sys::listen_on(sockaddr_, {});
    ASSERT_TRUE(socket.has_value());
    pool_.socket = std::make_shared<sys::Fd>(std::move(*socket));
    pool_.site = 5;
    pool_.text = "unix:" + path_;
    pool_.max_children = 3;
    loop_ = std::move(*loop::EventLoop::create());
    limits_.first_bytes = limits_.params = limits_.linger = loop::Millis(30);
    service_ = std::make_unique<FastcgiService>(
        *loop_,
        [this](const AppRequest& request, AppListener* to) { return site_.start(request, to); },
        [this](config::LogLevel, std::string_view text) { log_ += text; }, limits_);
    service_->update({pool_});
  }
  void TearDown() override {
    service_.reset();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }
  void turn(int times = 4) {
    for (int i = 0; i < times; ++i) loop_->run_once(loop::Millis(0));
  }
  sys::Fd connect() {
    sys::Fd fd = sys::connect_stream(sockaddr_).fd;
    turn();
    return fd;
  }
  void send(const sys::Fd& fd, const std::string& bytes) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(sys::send_pieces(fd, &piece, 1, sys::More::kNo).bytes, bytes.size());
    turn();
  }
  // What came from the service; "<EOF>" at its end when it closed.
  std::string read(const sys::Fd& fd) {
    std::string out;
    for (;;) {
      char bytes[4096];
      const sys::Moved moved = sys::receive(fd, bytes, sizeof bytes);
      if (moved.must_wait()) return out;
      if (!moved.ok()) return out + "<ERROR>";
      if (moved.bytes == 0) return out + "<EOF>";
      out.append(bytes, moved.bytes);
    }
  }
  static std::string begin(fcgi::KeepConn keep, std::string_view length, uint16_t id = 1) {
    std::string out, pairs;
    fcgi::append_pair(pairs, "CONTENT_LENGTH", length);
    fcgi::append_pair(pairs, "PHP_VALUE", "a=b\nc=d");
    fcgi::append_begin_request(out, id, fcgi::Role::kResponder, keep);
    fcgi::append_stream(out, fcgi::Type::kParams, id, pairs);
    fcgi::append_stream_end(out, fcgi::Type::kParams, id);
    return out;
  }
  static std::string input(std::string_view body, uint16_t id = 1) {
    std::string out;
    fcgi::append_stream(out, fcgi::Type::kStdin, id, body);
    fcgi::append_stream_end(out, fcgi::Type::kStdin, id);
    return out;
  }
  static std::string output(std::string_view head, std::string_view body, uint32_t status = 0) {
    std::string out;
    fcgi::append_stream(out, fcgi::Type::kStdout, 1, head);
    fcgi::append_stream(out, fcgi::Type::kStdout, 1, body);
    fcgi::append_stream_end(out, fcgi::Type::kStdout, 1);
    fcgi::append_end_request(out, 1, status, fcgi::ProtocolStatus::kComplete);
    return out;
  }

  std::string directory_, path_, sockaddr_, log_;
  std::unique_ptr<loop::EventLoop> loop_;
  FastcgiService::Limits limits_;
  FakeSite site_;
  PoolSocket pool_;
  std::unique_ptr<FastcgiService> service_;
};

TEST_F(FastcgiServiceTest, ServesRequestsOnOneConnection) {
  sys::Fd fd = connect();
  for (int i = 0; i < 3; ++i) {
    send(fd, begin(fcgi::KeepConn::kYes, "4") + input("body"));
    EXPECT_EQ(site_.started, i + 1);
    EXPECT_EQ(site_.site, 5u);
    EXPECT_EQ(site_.body_length, 4u);
    EXPECT_EQ(site_.body, "body");
    EXPECT_EQ(site_.finished, 1);
    ASSERT_EQ(site_.params.size(), 2u);
    EXPECT_EQ(site_.params.value(1), "a=b\nc=d");
    site_.end.app_status = 9;
    site_.answer("A: b\r\n\r\n", "hello");
    EXPECT_EQ(read(fd), output("A: b\r\n\r\n", "hello", 9));
    EXPECT_EQ(site_.running, nullptr);
  }
}

TEST_F(FastcgiServiceTest, ClosesWithoutKeepConn) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kNo, "") + input(""));
  EXPECT_EQ(site_.body_length, 0u);
  site_.answer("A: b\r\n\r\n", "x");
  turn();
  EXPECT_EQ(read(fd), output("A: b\r\n\r\n", "x") + "<EOF>");
  fd.reset();
  turn();
  EXPECT_EQ(service_->open(), 0u);
}

TEST_F(FastcgiServiceTest, SendsStderr) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "0"));
  site_.listener->on_app_stderr("PHP message: x");
  std::string want;
  fcgi::append_stream(want, fcgi::Type::kStderr, 1, "PHP message: x");
  EXPECT_EQ(read(fd), want);
  site_.answer("A: b\r\n\r\n", "");
  want.clear();
  fcgi::append_stream(want, fcgi::Type::kStdout, 1, "A: b\r\n\r\n");
  fcgi::append_stream_end(want, fcgi::Type::kStderr, 1);
  fcgi::append_stream_end(want, fcgi::Type::kStdout, 1);
  fcgi::append_end_request(want, 1, 0, fcgi::ProtocolStatus::kComplete);
  EXPECT_EQ(read(fd), want);
}

TEST_F(FastcgiServiceTest, HoldsTheBodyBackUntilThereIsRoom) {
  sys::Fd fd = connect();
  site_.room = 3;
  send(fd, begin(fcgi::KeepConn::kYes, "10") + input("0123456789"));
  EXPECT_EQ(site_.body, "012");
  EXPECT_EQ(site_.finished, 0);
  site_.room = SIZE_MAX;
  site_.listener->on_app_writable();
  EXPECT_EQ(site_.body, "0123456789");
  EXPECT_EQ(site_.finished, 1);
}

TEST_F(FastcgiServiceTest, PassesNoMoreThanContentLength) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "3") + input("0123456789"));
  EXPECT_EQ(site_.body, "012");
  EXPECT_EQ(site_.finished, 1);
  site_.answer("\r\n", "");
  EXPECT_EQ(read(fd), output("\r\n", ""));
}

TEST_F(FastcgiServiceTest, HoldsTheResponseBackUntilThereIsRoom) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "0"));
  const std::string big(2'000'000, 'x');
  site_.answer("\r\n", big);
  EXPECT_FALSE(site_.output.empty());
  std::string got;
  for (int i = 0; i < 1000 && site_.running != nullptr; ++i) {
    got += read(fd);
    turn(1);
  }
  got += read(fd);
  EXPECT_EQ(site_.running, nullptr);
  EXPECT_GT(got.size(), big.size());
}

TEST_F(FastcgiServiceTest, AnswersManagementRecords) {
  sys::Fd fd = connect();
  std::string bytes, names, want, values;
  fcgi::append_pair(names, "FCGI_MAX_CONNS", "");
  fcgi::append_pair(names, "FCGI_MPXS_CONNS", "");
  fcgi::append_pair(names, "OTHER", "");
  fcgi::append_record(bytes, fcgi::Type::kGetValues, 0, names);
  fcgi::append_record(bytes, static_cast<fcgi::Type>(77), 0, "");
  send(fd, bytes);
  fcgi::append_pair(values, "FCGI_MAX_CONNS", "3");
  fcgi::append_pair(values, "FCGI_MPXS_CONNS", "0");
  fcgi::append_record(want, fcgi::Type::kGetValuesResult, 0, values);
  fcgi::append_unknown_type(want, 77);
  EXPECT_EQ(read(fd), want);
}

TEST_F(FastcgiServiceTest, AbortsWhenAskedOrWhenThePeerLeaves) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "9"));
  EXPECT_NE(site_.running, nullptr);
  std::string abort;
  fcgi::append_record(abort, fcgi::Type::kAbortRequest, 1, "");
  send(fd, abort);
  EXPECT_EQ(site_.running, nullptr);
  EXPECT_FALSE(read(fd).empty());
  send(fd, begin(fcgi::KeepConn::kYes, "9"));
  EXPECT_NE(site_.running, nullptr);
  fd.reset();
  turn();
  EXPECT_EQ(site_.running, nullptr);
  EXPECT_EQ(service_->open(), 0u);
}

TEST_F(FastcgiServiceTest, AnswersAPeerThatOnlyStoppedSending) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "0") + input(""));
  sys::shut_down_writing(fd);
  turn();
  ASSERT_NE(site_.running, nullptr);
  site_.answer("\r\n", "x");
  EXPECT_EQ(read(fd), output("\r\n", "x") + "<EOF>");
}

TEST_F(FastcgiServiceTest, EndsTheConnectionWhenTheWorkerDies) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "0"));
  site_.listener->on_app_error(AppError::kClosed, "worker died");
  turn();
  EXPECT_EQ(read(fd), "<EOF>");
}

TEST_F(FastcgiServiceTest, TellsWhenTheSiteIsOverloaded) {
  sys::Fd fd = connect();
  send(fd, begin(fcgi::KeepConn::kYes, "0"));
  site_.listener->on_app_error(AppError::kBusy, "too many");
  std::string want;
  fcgi::append_end_request(want, 1, 0, fcgi::ProtocolStatus::kOverloaded);
  EXPECT_EQ(read(fd), want);
}

TEST_F(FastcgiServiceTest, RefusesUnknownRolesAndBrokenRecords) {
  sys::Fd fd = connect();
  std::string bytes, want;
  fcgi::append_begin_request(bytes, 1, static_cast<fcgi::Role>(9), fcgi::KeepConn::kYes);
  fcgi::append_stream_end(bytes, fcgi::Type::kParams, 1);
  send(fd, bytes);
  fcgi::append_end_request(want, 1, 0, fcgi::ProtocolStatus::kUnknownRole);
  EXPECT_EQ(read(fd), want);
  send(fd, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(site_.started, 0);
  EXPECT_NE(read(fd).find('<'), std::string::npos);
  EXPECT_EQ(service_->open(), 0u);
}

TEST_F(FastcgiServiceTest, ClosesSilentConnections) {
  sys::Fd quiet = connect();
  sys::Fd slow = connect();
  std::string bytes;
  fcgi::append_begin_request(bytes, 1, fcgi::Role::kResponder, fcgi::KeepConn::kYes);
  send(slow, bytes);
  EXPECT_EQ(service_->open(), 2u);
  for (int i = 0; i < 50 && service_->open() > 0; ++i) loop_->run_once(loop::Millis(10));
  EXPECT_EQ(service_->open(), 0u);
}

TEST_F(FastcgiServiceTest, FinishesRequestsOfPoolsThatLeave) {
  sys::Fd idle = connect();
  sys::Fd busy = connect();
  send(busy, begin(fcgi::KeepConn::kYes, "0"));
  service_->update({});
  turn();
  EXPECT_EQ(service_->open(), 1u);
  EXPECT_EQ(read(idle), "<EOF>");
  site_.answer("\r\n", "x");
  turn();
  EXPECT_EQ(read(busy), output("\r\n", "x") + "<EOF>");
}

TEST_F(FastcgiServiceTest, KeepsConnectionsOverAReloadAndQuitsGracefully) {
  sys::Fd fd = connect();
  PoolSocket passed_again = pool_;
  passed_again.socket = std::make_shared<sys::Fd>(::dup(pool_.socket->get()));
  service_->update({passed_again});
  turn();
  EXPECT_EQ(service_->open(), 1u);
  send(fd, begin(fcgi::KeepConn::kYes, "0"));
  bool empty = false;
  service_->on_empty = [&empty] { empty = true; };
  service_->quit();
  turn();
  EXPECT_FALSE(empty);
  site_.answer("\r\n", "");
  turn();
  read(fd);
  fd.reset();
  turn();
  EXPECT_TRUE(empty);
}

TEST(AllowedClients, ComparesAddresses) {
  sys::SocketAddress v4, v6, local;
  auto& in4 = reinterpret_cast<sockaddr_in&>(v4.storage);
  in4.sin_family = AF_INET;
  ::inet_pton(AF_INET, "10.0.0.1", &in4.sin_addr);
  auto& in6 = reinterpret_cast<sockaddr_in6&>(v6.storage);
  in6.sin6_family = AF_INET6;
  ::inet_pton(AF_INET6, "::ffff:10.0.0.1", &in6.sin6_addr);
  local.storage.ss_family = AF_UNIX;
  EXPECT_TRUE(AllowedClients().allows(v4));
  const AllowedClients some({"127.0.0.1", "10.0.0.1"});
  EXPECT_TRUE(some.allows(v4));
  EXPECT_TRUE(some.allows(v6));
  EXPECT_TRUE(some.allows(local));
  const AllowedClients none({"127.0.0.1", "::1"});
  EXPECT_FALSE(none.allows(v4));
  EXPECT_FALSE(none.allows(v6));
  EXPECT_FALSE(AllowedClients({"nonsense"}).allows(v4));
}

}  // namespace
}  // namespace bulkhead::front
