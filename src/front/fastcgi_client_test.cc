// FastcgiClient against a server played by the test, on a unix socket in a temporary directory.
#include "front/fastcgi_client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "http/fastcgi.h"
#include "sys/sockets.h"
#include "sys/stream_io.h"

namespace bulkhead::front {
namespace {

namespace fcgi = http::fcgi;

// Writes down what a stream reports; consumes the body at once unless told not to.
struct Recorder : AppListener {
  void on_app_head(std::string_view block) override { head = block; }
  void on_app_readable() override {
    ++readable;
    if (eager) drain();
  }
  void on_app_stderr(std::string_view text) override {
    stderr_text += text;
    drain();
    if (head.empty()) {
      EXPECT_EQ(body, "") << "no body before the head";
      EXPECT_FALSE(stream->ended());
    }
  }
  void on_app_error(AppError what, std::string_view why) override {
    error = what;
    detail = why;
  }
  void on_app_writable() override { ++writable; }
  void drain() {
    iovec pieces[4];
    for (size_t n = stream->peek(pieces, 4); n > 0; n = stream->peek(pieces, 4)) {
      size_t total = 0;
      for (size_t i = 0; i < n; ++i) {
        body.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
        total += pieces[i].iov_len;
      }
      stream->consume(total);
    }
  }
  AppStream* stream = nullptr;
  std::string head, body, stderr_text, detail;
  AppError error = AppError::kNone;
  int readable = 0, writable = 0;
  bool eager = true;
};

class FastcgiClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/bulkhead-fcgi-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/socket";
    sockaddr_ = *sys::make_unix_address(path_);
    listen();
    loop_ = std::move(*loop::EventLoop::create());
    client_ = std::make_unique<FastcgiClient>(*loop_);
    target_.address = "unix:/x";
    target_.sockaddr = sockaddr_;
  }
  void TearDown() override {
    stream_.reset();
    client_.reset();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }
  void listen() {
    auto socket = sys::listen_on(sockaddr_, {});
    ASSERT_TRUE(socket.has_value());
    listener_ = std::move(*socket);
  }

  void start(std::string_view inline_body = {}) {
    recorder_ = Recorder();
    Params params;
    params.add("SCRIPT_NAME", "/x.php");
    AppRequest request;
    request.params = &params;
    request.inline_body = inline_body;
    request.read_timeout = request.send_timeout = loop::Millis(50);
    request.head_max = 200;
    stream_ = client_->start(target_, request, &recorder_);
    recorder_.stream = stream_.get();
  }
  void turn(int times = 4) {
    for (int i = 0; i < times; ++i) loop_->run_once(loop::Millis(0));
  }
  void accept() {
    turn(2);
    server_ = sys::accept_connection(listener_).fd;
  }
  std::string received() {
    std::string out(1 << 20, '\0');
    const sys::Moved moved = sys::receive(server_, out.data(), out.size());
    out.resize(moved.bytes);
    return out;
  }
  void answer(const std::string& bytes) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(sys::send_pieces(server_, &piece, 1, sys::More::kNo).bytes, bytes.size());
    turn();
  }
  static std::string response(std::string_view text, bool ends = true) {
    std::string out;
    fcgi::append_stream(out, fcgi::Type::kStdout, 1, text);
    if (!ends) return out;
    fcgi::append_stream_end(out, fcgi::Type::kStdout, 1);
    fcgi::append_end_request(out, 1, 7, fcgi::ProtocolStatus::kComplete);
    return out;
  }

  std::string directory_, path_, sockaddr_;
  sys::Fd listener_, server_;
  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<FastcgiClient> client_;
  FastcgiTarget target_;
  Recorder recorder_;
  std::unique_ptr<AppStream> stream_;
};

TEST_F(FastcgiClientTest, SendsTheRequestAndReadsTheAnswer) {
  start("in");
  EXPECT_EQ(stream_->write_body("body"), 4u);
  stream_->finish_body();
  accept();
  std::string want, pairs;
  fcgi::append_begin_request(want, 1, fcgi::Role::kResponder, fcgi::KeepConn::kNo);
  fcgi::append_pair(pairs, "SCRIPT_NAME", "/x.php");
  fcgi::append_stream(want, fcgi::Type::kParams, 1, pairs);
  fcgi::append_stream_end(want, fcgi::Type::kParams, 1);
  fcgi::append_stream(want, fcgi::Type::kStdin, 1, "in");
  fcgi::append_stream(want, fcgi::Type::kStdin, 1, "body");
  fcgi::append_stream_end(want, fcgi::Type::kStdin, 1);
  EXPECT_EQ(received(), want);
  std::string bytes;
  fcgi::append_stream(bytes, fcgi::Type::kStderr, 1, "PHP message: x");
  answer(bytes + response("Status: 200 OK\r\n\r\nhello"));
  EXPECT_EQ(recorder_.stderr_text, "PHP message: x");
  EXPECT_EQ(recorder_.head, "Status: 200 OK\r\n\r\n");
  EXPECT_EQ(recorder_.body, "hello");
  EXPECT_TRUE(stream_->ended());
  EXPECT_EQ(stream_->end().app_status, 7u);
  EXPECT_EQ(recorder_.error, AppError::kNone);
}

TEST_F(FastcgiClientTest, ReadsAnAnswerInSinglePieces) {
  target_.keep_conn = true;  // without it the end of STDOUT is the end
  start();
  stream_->finish_body();
  accept();
  const std::string bytes = response("A: b\n\nhello");
  for (char c : bytes) answer(std::string(1, c));
  EXPECT_EQ(recorder_.head, "A: b\n\n");
  EXPECT_EQ(recorder_.body, "hello");
  EXPECT_TRUE(stream_->ended());
}

TEST_F(FastcgiClientTest, ReadsNoFasterThanTheBodyIsConsumed) {
  start();
  stream_->finish_body();
  accept();
  recorder_.eager = false;
  std::string big(100'000, 'x');
  answer(response("A: b\r\n\r\n" + big, false));
  answer(response(""));
  turn(20);
  EXPECT_EQ(recorder_.readable, 1);
  recorder_.eager = true;
  recorder_.drain();
  turn(20);
  EXPECT_EQ(recorder_.body.size(), big.size());
  EXPECT_TRUE(stream_->ended());
}

TEST_F(FastcgiClientTest, SendsALargeBodyAsThereIsRoom) {
  start();
  accept();
  const std::string piece(60'000, 'b');
  size_t sent = 0, got = 0;
  while (sent < 2'000'000) {
    const size_t n = stream_->write_body(piece);
    sent += n;
    if (n == 0) {
      got += received().size();
      turn();
    }
  }
  EXPECT_GT(recorder_.writable, 0);
  stream_->finish_body();
  for (int i = 0; i < 100; ++i) {
    got += received().size();
    turn(1);
  }
  EXPECT_GT(got, sent);
}

struct Broken {
  std::string bytes;
  AppError error;
  std::string_view detail;
};

TEST_F(FastcgiClientTest, WordsBrokenAnswersAsNginx) {
  std::string only_end, bad_type;
  fcgi::append_end_request(only_end, 1, 0, fcgi::ProtocolStatus::kComplete);
  fcgi::append_record(bad_type, fcgi::Type::kStdin, 1, "x");
  const Broken cases[] = {
      {response("A: b\r\n"), AppError::kInvalid,
       "upstream prematurely closed FastCGI stdout while reading response header from upstream"},
      {only_end, AppError::kInvalid,
       "upstream prematurely closed FastCGI request while reading response header from upstream"},
      {bad_type, AppError::kInvalid,
       "upstream sent invalid FastCGI record type: 5 while reading response header from upstream"},
      {response("A: " + std::string(300, 'x') + "\r\n\r\n"), AppError::kInvalid,
       "upstream sent too big header while reading response header from upstream"},
  };
  for (const Broken& c : cases) {
    start();
    stream_->finish_body();
    accept();
    answer(c.bytes);
    EXPECT_EQ(recorder_.error, c.error);
    EXPECT_EQ(recorder_.detail, c.detail);
    EXPECT_EQ(recorder_.head, "");
  }
}

TEST_F(FastcgiClientTest, TellsWhenTheServerDies) {
  start();
  stream_->finish_body();
  accept();
  received();
  server_.reset();
  turn();
  EXPECT_EQ(recorder_.error, AppError::kClosed);
  EXPECT_EQ(recorder_.detail,
            "upstream prematurely closed connection while reading response header from upstream");
  start();
  stream_->finish_body();
  accept();
  received();
  answer(response("A: b\r\n\r\nhel", false));
  server_.reset();
  turn();
  EXPECT_EQ(recorder_.body, "hel");
  EXPECT_EQ(recorder_.error, AppError::kClosedInBody);
  EXPECT_EQ(recorder_.detail, "upstream prematurely closed connection while reading upstream");
}

TEST_F(FastcgiClientTest, TellsWhyItCannotConnect) {
  listener_.reset();
  start();
  turn();
  EXPECT_EQ(recorder_.error, AppError::kConnect);
  EXPECT_EQ(recorder_.detail,
            "connect() to unix:/x failed (111: Connection refused) while connecting to upstream");
  EXPECT_FALSE(is_critical_connect_error(recorder_.detail));
  ::unlink(path_.c_str());
  start();
  EXPECT_EQ(recorder_.error, AppError::kNone) << "never from inside start()";
  turn();
  EXPECT_EQ(recorder_.detail,
            "connect() to unix:/x failed (2: No such file or directory) while connecting to "
            "upstream");
  EXPECT_TRUE(is_critical_connect_error(recorder_.detail));
}

TEST_F(FastcgiClientTest, TimesOut) {
  start();
  stream_->finish_body();
  accept();
  for (int i = 0; i < 50 && recorder_.error == AppError::kNone; ++i) {
    loop_->run_once(loop::Millis(20));
  }
  EXPECT_EQ(recorder_.error, AppError::kTimeout);
  EXPECT_EQ(recorder_.detail,
            "upstream timed out (110: Connection timed out) while reading response header from "
            "upstream");
}

TEST_F(FastcgiClientTest, KeepsConnectionsAndNoticesDeadOnes) {
  target_.keep_conn = true;
  target_.upstream = "u";
  target_.keepalive = 1;
  start();
  stream_->finish_body();
  accept();
  received();
  answer(response("A: b\r\n\r\n1"));
  EXPECT_TRUE(stream_->ended());
  EXPECT_EQ(client_->idle(), 1u);

  start();  // on the same connection
  EXPECT_EQ(client_->idle(), 0u);
  stream_->finish_body();
  turn();
  EXPECT_FALSE(received().empty());
  answer(response("A: b\r\n\r\n2"));
  EXPECT_EQ(recorder_.body, "2");

  server_.reset();  // the server closes it while it is idle
  turn();
  EXPECT_EQ(client_->idle(), 0u);
}

TEST_F(FastcgiClientTest, RepeatsARequestThatAKeptConnectionNeverRead) {
  target_.keep_conn = true;
  target_.keepalive = 1;
  start();
  stream_->finish_body();
  accept();
  received();
  answer(response("A: b\r\n\r\n1"));
  ASSERT_EQ(client_->idle(), 1u);
  start();
  server_.reset();  // closed between taking the connection and sending
  stream_->write_body("body");
  stream_->finish_body();
  accept();
  ASSERT_TRUE(server_.valid());
  EXPECT_NE(received().find("body"), std::string::npos);
  answer(response("A: b\r\n\r\nagain"));
  EXPECT_EQ(recorder_.error, AppError::kNone);
  EXPECT_EQ(recorder_.body, "again");
}

TEST_F(FastcgiClientTest, ClosesTheConnectionWhenAbandoned) {
  start();
  stream_->finish_body();
  accept();
  received();
  stream_.reset();
  char byte;
  EXPECT_EQ(sys::receive(server_, &byte, 1).bytes, 0u);
}

}  // namespace
}  // namespace bulkhead::front
