#include "front/body_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace bulkhead::front {
namespace {

using Mode = BodyReader::Mode;
using Step = BodyReader::Step;

// Takes a body, a few bytes at a time.
class TakingStream : public AppStream {
 public:
  size_t write_body(std::string_view bytes) override {
    size_t n = std::min(bytes.size(), room);
    body.append(bytes.substr(0, n));
    room -= n;
    return n;
  }
  void finish_body() override { finished = true; }
  size_t peek(iovec*, size_t) override { return 0; }
  void consume(size_t) override {}
  [[nodiscard]] bool ended() const override { return false; }
  bool take_flush() override { return false; }
  [[nodiscard]] const AppEnd& end() const override { return end_; }
  std::string body;
  size_t room = SIZE_MAX;
  bool finished = false;

 private:
  AppEnd end_;
};

class BodyReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    socket_.fd.reset(pair[0]);
    peer_.reset(pair[1]);
  }
  void send(std::string_view bytes) {
    ASSERT_EQ(static_cast<ssize_t>(bytes.size()), ::write(peer_.get(), bytes.data(), bytes.size()));
    socket_.readable = true;
  }
  // As if the bytes had come together with the head.
  void preread(std::string_view bytes) { socket_.input.append(pool_, bytes); }
  static sys::Fd spool() { return sys::Fd(::memfd_create("spool", 0)); }
  BlockPool pool_;
  ClientSocket socket_;
  sys::Fd peer_;
  BodyReader body_;
};

TEST_F(BodyReaderTest, CollectsASmallBodyFromBufferAndSocket) {
  body_.describe(false, 10);
  EXPECT_TRUE(body_.has_body());
  body_.begin(Mode::kCollect, 1000, 0);
  preread("01234");
  EXPECT_EQ(Step::kWait, body_.pump(socket_));
  send("56789GET /next");
  EXPECT_EQ(Step::kDone, body_.pump(socket_));
  EXPECT_EQ("0123456789", body_.memory());
  EXPECT_TRUE(body_.in_memory());
  TakingStream stream;
  body_.rewind(4);
  EXPECT_TRUE(body_.feed(stream));
  EXPECT_EQ("456789", stream.body);
  EXPECT_TRUE(stream.finished);
}

TEST_F(BodyReaderTest, LeavesTheNextRequestInTheBuffer) {
  body_.describe(false, 3);
  body_.begin(Mode::kDiscard, 0, 0);
  preread("abcGET /");
  EXPECT_EQ(Step::kDone, body_.pump(socket_));
  EXPECT_EQ("GET /", socket_.input.bytes());
}

TEST_F(BodyReaderTest, SpoolsWhatDoesNotFitInMemory) {
  std::string content;
  for (int i = 0; i < 5000; ++i) content += std::to_string(i) + ",";
  body_.describe(false, content.size());
  body_.begin(Mode::kCollect, 1000, 0);
  send(content);
  EXPECT_EQ(Step::kSpool, body_.pump(socket_));
  body_.give_spool(spool());
  EXPECT_EQ(Step::kDone, body_.pump(socket_));
  EXPECT_FALSE(body_.in_memory());
  for (int round = 0; round < 2; ++round) {  // the second is for another peer
    TakingStream stream;
    stream.room = 700;
    body_.rewind(0);
    while (!body_.feed(stream)) stream.room = 700;
    EXPECT_EQ(content, stream.body);
  }
}

TEST_F(BodyReaderTest, ASmallerLimitOnTheWaySendsWhatIsInMemoryToASpoolFile) {
  const std::string content(5000, 'b');
  body_.describe(false, content.size());
  body_.begin(Mode::kCollect, 96 * 1024, 0);
  send(content.substr(0, 4000));
  EXPECT_EQ(Step::kWait, body_.pump(socket_));
  EXPECT_EQ(4000U, body_.memory().size());
  body_.limit_memory(1000);
  EXPECT_EQ(Step::kSpool, body_.pump(socket_));
  body_.give_spool(spool());
  EXPECT_EQ(Step::kWait, body_.pump(socket_));
  EXPECT_TRUE(body_.memory().empty());
  body_.limit_memory(96 * 1024);
  send(content.substr(4000));
  EXPECT_EQ(Step::kDone, body_.pump(socket_));
  TakingStream stream;
  EXPECT_TRUE(body_.feed(stream));
  EXPECT_EQ(content, stream.body);
}

// Has two pieces of room of its own at a time, as a ring whose end is near.
class RoomyStream : public TakingStream {
 public:
  int body_room(std::array<iovec, 2>& pieces) override {
    if (full) return 0;
    pieces[0] = {ring_, 300};
    pieces[1] = {ring_ + 300, 200};
    return 2;
  }
  void body_filled(size_t bytes) override {
    body.append(ring_, bytes);
    full = ++fills % 3 == 0;
  }
  bool full = false;
  int fills = 0;

 private:
  char ring_[500] = {};
};

TEST_F(BodyReaderTest, ReadsASpoolFileStraightIntoTheStreamsRoom) {
  std::string content;
  for (int i = 0; i < 5000; ++i) content += std::to_string(i) + ",";
  body_.describe(false, content.size());
  body_.begin(Mode::kCollect, 1000, 0);
  send(content);
  ASSERT_EQ(Step::kSpool, body_.pump(socket_));
  body_.give_spool(spool());
  ASSERT_EQ(Step::kDone, body_.pump(socket_));
  RoomyStream stream;
  stream.room = 0;  // write_body() is of no use
  body_.rewind(0);
  int waits = 0;
  for (; !body_.feed(stream) && waits < 1000; ++waits) stream.full = false;
  EXPECT_EQ(content, stream.body);
  EXPECT_GT(waits, 10);
  EXPECT_TRUE(stream.finished);
}

TEST_F(BodyReaderTest, ReportsASpoolFileThatBecameShorter) {
  const std::string content(5000, 'x');
  body_.describe(false, content.size());
  body_.begin(Mode::kCollect, 1000, 0);
  send(content);
  ASSERT_EQ(Step::kSpool, body_.pump(socket_));
  sys::Fd file = spool();
  const sys::Fd same(::dup(file.get()));
  body_.give_spool(std::move(file));
  ASSERT_EQ(Step::kDone, body_.pump(socket_));
  ASSERT_EQ(0, ::ftruncate(same.get(), 1000));
  RoomyStream stream;
  body_.rewind(0);
  for (int i = 0; i < 100 && !body_.failed(); ++i) {
    EXPECT_FALSE(body_.feed(stream));
    stream.full = false;
  }
  EXPECT_TRUE(body_.failed());
  EXPECT_EQ(body_.failure().status, 500);
}

TEST_F(BodyReaderTest, DecodesChunksOfAnySizeIntoALimitedMemory) {
  std::string content;
  std::string wire;
  for (int i = 1; i < 200; ++i) {
    std::string part(static_cast<size_t>(i * 7), static_cast<char>('a' + i % 26));
    char header[32];
    ::snprintf(header, sizeof header, "%zx\r\n", part.size());
    wire += header + part + "\r\n";
    content += part;
  }
  wire += "0\r\n\r\nGET /next HTTP/1.1\r\n";
  body_.describe(true, 0);
  body_.begin(Mode::kCollect, 512, 0);
  size_t at = 0;
  Step step = Step::kWait;
  while (step != Step::kDone) {
    if (at < wire.size()) {
      size_t n = std::min<size_t>(1 + at % 97, wire.size() - at);
      send(std::string_view(wire).substr(at, n));
      at += n;
    }
    step = body_.pump(socket_);
    if (step == Step::kSpool) {
      body_.give_spool(spool());
      step = body_.pump(socket_);
    }
    ASSERT_NE(Step::kFailed, step);
  }
  EXPECT_EQ(content.size(), body_.received());
  TakingStream stream;
  body_.rewind(0);
  EXPECT_TRUE(body_.feed(stream));
  EXPECT_EQ(content, stream.body);
  EXPECT_TRUE(std::string_view("GET /next HTTP/1.1\r\n").starts_with(body_.surplus()));
}

TEST_F(BodyReaderTest, RefusesChunksBeyondTheLimitBeforeTheyArrive) {
  body_.describe(true, 0);
  body_.begin(Mode::kCollect, 512, 100);
  send("20\r\n" + std::string(32, 'x') + "\r\n");
  EXPECT_EQ(Step::kWait, body_.pump(socket_));
  send("45\r\nyy");
  EXPECT_EQ(Step::kFailed, body_.pump(socket_));
  EXPECT_EQ(413, body_.failure().status);
  EXPECT_EQ("client intended to send too large chunked body: 32+69 bytes", body_.failure().text);
}

TEST_F(BodyReaderTest, RefusesBrokenChunks) {
  body_.describe(true, 0);
  body_.begin(Mode::kDiscard, 0, 0);
  send("zz\r\n");
  EXPECT_EQ(Step::kFailed, body_.pump(socket_));
  EXPECT_EQ(400, body_.failure().status);
  EXPECT_FALSE(body_.failure().client_gone);
}

TEST_F(BodyReaderTest, NoticesAClientThatLeft) {
  body_.describe(false, 100);
  body_.begin(Mode::kCollect, 512, 0);
  send("half");
  EXPECT_EQ(Step::kWait, body_.pump(socket_));
  peer_.reset();
  socket_.readable = true;
  EXPECT_EQ(Step::kFailed, body_.pump(socket_));
  EXPECT_TRUE(body_.failure().client_gone);
  EXPECT_EQ("client prematurely closed connection", body_.failure().text);
}

TEST_F(BodyReaderTest, StreamsThroughAWindow) {
  std::string content(10'000, 's');
  body_.describe(false, content.size());
  body_.begin(Mode::kStream, 1024, 0);
  body_.rewind(0);
  send(content);
  TakingStream stream;
  stream.room = 0;
  EXPECT_EQ(Step::kFull, body_.pump(socket_));
  EXPECT_FALSE(body_.feed(stream));
  EXPECT_EQ(Step::kFull, body_.pump(socket_));
  Step step = Step::kFull;
  while (step != Step::kDone) {
    stream.room = 300;
    body_.feed(stream);
    step = body_.pump(socket_);
    ASSERT_NE(Step::kFailed, step);
  }
  stream.room = SIZE_MAX;
  EXPECT_TRUE(body_.feed(stream));
  EXPECT_EQ(content, stream.body);
  EXPECT_TRUE(stream.finished);
}

TEST_F(BodyReaderTest, AFullDiskIsAServerError) {
  body_.describe(false, 2000);
  body_.begin(Mode::kCollect, 1000, 0);
  send(std::string(2000, 'd'));
  EXPECT_EQ(Step::kSpool, body_.pump(socket_));
  body_.give_spool(sys::Fd(::open("/dev/full", 2)));
  EXPECT_EQ(Step::kFailed, body_.pump(socket_));
  EXPECT_EQ(500, body_.failure().status);
}

class BodyReaderTurn : public BodyReaderTest, public testing::WithParamInterface<Mode> {};

TEST_P(BodyReaderTurn, ReadsNoMoreThanATurnsBytesAtOnce) {
  int large = 4 << 20;
  ::setsockopt(peer_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
  const uint64_t length = 3 * BodyReader::kTurnBytes;
  body_.describe(false, length);
  body_.begin(GetParam(), 16 << 20, 0);
  uint64_t sent = 0;
  const std::string part(64 * 1024, 'x');
  while (sent < length) {  // whatever the socket holds is offered again and again
    ssize_t n = ::write(peer_.get(), part.data(), part.size());
    if (n > 0) sent += static_cast<uint64_t>(n);
    if (n >= 0 && sent < length) continue;
    socket_.readable = true;
    const uint64_t before = body_.received();
    const Step step = body_.pump(socket_);
    ASSERT_TRUE(step == Step::kYield || step == Step::kWait || step == Step::kDone);
    EXPECT_LE(body_.received() - before, BodyReader::kTurnBytes + BodyReader::kScratch);
  }
  Step step = Step::kYield;
  for (int i = 0; i < 100 && step != Step::kDone; ++i) {
    socket_.readable = true;
    step = body_.pump(socket_);
  }
  EXPECT_EQ(Step::kDone, step);
  EXPECT_EQ(length, body_.received());
}

INSTANTIATE_TEST_SUITE_P(Modes, BodyReaderTurn, testing::Values(Mode::kDiscard, Mode::kCollect));

}  // namespace
}  // namespace bulkhead::front
