#include "front/response_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace bulkhead::front {
namespace {

using Outcome = ResponseWriter::Outcome;

// Gives prepared stretches, one after another.
class ScriptedBody : public BodySource {
 public:
  explicit ScriptedBody(std::vector<std::string> parts) : parts_(std::move(parts)) {}
  void next(BodyRun& run) override {
    if (waits) {
      run.flush = flush;
      return;
    }
    if (at_ == parts_.size()) {
      run.kind = BodyRun::Kind::kEnd;
      return;
    }
    run.kind = BodyRun::Kind::kMemory;
    run.add(parts_[at_].data() + done_, parts_[at_].size() - done_);
    run.last = at_ + 1 == parts_.size();
  }
  void consumed(uint64_t bytes) override {
    done_ += static_cast<size_t>(bytes);
    if (done_ < parts_[at_].size()) return;
    ++at_;
    done_ = 0;
  }
  bool waits = false, flush = false;

 private:
  std::vector<std::string> parts_;
  size_t at_ = 0, done_ = 0;
};

class ResponseWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    socket_.fd.reset(pair[0]);
    peer_.reset(pair[1]);
    ex_.head = "HEAD\r\n\r\n";
  }
  std::string received() {
    std::string out;
    char buffer[65536];
    for (ssize_t n; (n = ::read(peer_.get(), buffer, sizeof buffer)) > 0;) {
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }
  // Pumps with a client that reads only when the socket is full.
  std::string pump_all(ResponseWriter& writer, Outcome* last) {
    std::string out;
    for (int i = 0; i < 10000; ++i) {
      *last = writer.pump(socket_, {});
      if (*last != Outcome::kBlocked && *last != Outcome::kYield) break;
      out += received();
      socket_.writable = true;
    }
    return out + received();
  }
  ClientSocket socket_;
  sys::Fd peer_;
  Exchange ex_;
  ResponseWriter writer_;
};

TEST_F(ResponseWriterTest, SendsAHeadAlone) {
  writer_.start(ex_, nullptr, {});
  EXPECT_EQ(Outcome::kDone, writer_.pump(socket_, {}));
  EXPECT_EQ("HEAD\r\n\r\n", received());
  EXPECT_EQ(8u, ex_.bytes_sent);
  EXPECT_EQ(0u, ex_.body_bytes_sent);
}

TEST_F(ResponseWriterTest, FramesChunksAndEndsInTheSameWrite) {
  ex_.response.chunked = true;
  ScriptedBody body({"hello", "world!"});
  writer_.start(ex_, &body, {});
  EXPECT_EQ(Outcome::kDone, writer_.pump(socket_, {}));
  EXPECT_EQ("HEAD\r\n\r\n5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n", received());
  EXPECT_EQ(ex_.bytes_sent - 8, ex_.body_bytes_sent);
}

TEST_F(ResponseWriterTest, HeaderOnlySendsNoFraming) {
  ex_.response.chunked = true;
  ex_.response.header_only = true;
  writer_.start(ex_, nullptr, {});
  EXPECT_EQ(Outcome::kDone, writer_.pump(socket_, {}));
  EXPECT_EQ("HEAD\r\n\r\n", received());
}

TEST_F(ResponseWriterTest, KeepsTheHeadUntilThereIsABodyOrAFlush) {
  ScriptedBody body({"x"});
  body.waits = true;
  writer_.start(ex_, &body, {});
  EXPECT_EQ(Outcome::kStarved, writer_.pump(socket_, {}));
  EXPECT_EQ("", received());
  body.flush = true;
  EXPECT_EQ(Outcome::kStarved, writer_.pump(socket_, {}));
  EXPECT_EQ("HEAD\r\n\r\n", received());
  body.waits = false;
  EXPECT_EQ(Outcome::kDone, writer_.pump(socket_, {}));
  EXPECT_EQ("x", received());
}

TEST_F(ResponseWriterTest, FramingSurvivesAFullSocket) {
  ex_.response.chunked = true;
  std::string large(3'000'000, 'a');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 26);
  ScriptedBody body({large, "tail"});
  writer_.start(ex_, &body, {.bytes_per_turn = 1'000'000});
  Outcome last{};
  std::string out = pump_all(writer_, &last);
  EXPECT_EQ(Outcome::kDone, last);
  // Take the chunks apart again.
  std::string decoded;
  size_t at = 8;
  for (;;) {
    size_t line = out.find("\r\n", at);
    ASSERT_NE(std::string::npos, line);
    size_t size = std::stoul(out.substr(at, line - at), nullptr, 16);
    if (size == 0) break;
    decoded += out.substr(line + 2, size);
    at = line + 2 + size;
    ASSERT_EQ("\r\n", out.substr(at, 2));
    at += 2;
  }
  EXPECT_EQ("0\r\n\r\n", out.substr(at));
  EXPECT_EQ(large + "tail", decoded);
}

TEST_F(ResponseWriterTest, SendsFilesFromTheKernelAndNoticesThatOneWasCut) {
  int fd = ::memfd_create("file", 0);
  ASSERT_GE(fd, 0);
  std::string content(300'000, 'f');
  ASSERT_EQ(static_cast<ssize_t>(content.size()), ::write(fd, content.data(), content.size()));
  auto file = std::make_shared<OpenFile>();
  file->fd.reset(fd);
  file->size = content.size();
  ex_.response.file = file;
  ex_.response.body = BodyKind::kPieces;
  ex_.response.pieces = {{"--b\r\n", 0, 0}, {"", 10, 200'000}, {"\r\n--b--", 0, 0}};
  PiecesBody body;
  body.start(ex_.response);
  writer_.start(ex_, &body, {});
  Outcome last{};
  std::string out = pump_all(writer_, &last);
  EXPECT_EQ(Outcome::kDone, last);
  EXPECT_EQ("HEAD\r\n\r\n--b\r\n" + std::string(200'000, 'f') + "\r\n--b--", out);

  ASSERT_EQ(0, ::ftruncate(fd, 100));
  body.start(ex_.response);
  writer_.start(ex_, &body, {});
  pump_all(writer_, &last);
  EXPECT_EQ(Outcome::kBroken, last);
}

TEST_F(ResponseWriterTest, ALimitedRateMakesPauses) {
  ScriptedBody body({std::string(10'000, 'r')});
  writer_.start(ex_, &body, {.rate = 1000});
  auto now = loop::Clock::now();
  EXPECT_EQ(Outcome::kPaused, writer_.pump(socket_, now));
  EXPECT_EQ(8u + 1000, received().size());
  EXPECT_GT(writer_.pause().count(), 0);
  EXPECT_EQ(Outcome::kPaused, writer_.pump(socket_, now + std::chrono::seconds(2)));
  EXPECT_EQ(2000u, received().size());
}

TEST_F(ResponseWriterTest, SaysThatTheClientIsGone) {
  peer_.reset();
  writer_.start(ex_, nullptr, {});
  EXPECT_EQ(Outcome::kFailed, writer_.pump(socket_, {}));
  EXPECT_EQ(EPIPE, writer_.error());
}

}  // namespace
}  // namespace bulkhead::front
