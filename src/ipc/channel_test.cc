#include "ipc/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "sys/message.h"
#include "sys/sockets.h"

namespace bulkhead::ipc {
namespace {

// One end is a Channel that listens to a pool; the other is a bare socket, as an attacker has it.
struct Fixture {
  explicit Fixture(Role peer = Role::kFront, Phase phase = Phase::kServing)
      : loop(std::move(*loop::EventLoop::create())), pair(std::move(*sys::seqpacket_pair())) {
    channel = std::move(*Channel::create(
        *loop, std::move(pair.first), peer, phase,
        [this](Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
          ops.push_back(op);
          payloads.emplace_back(payload);
          for (auto& fd : fds) received.push_back(std::move(fd));
        },
        [this](const std::string& why) {
          ++closed;
          violation = why;
        }));
  }
  void raw(std::string_view bytes, std::vector<sys::FdRef> fds = {}) {
    ASSERT_EQ(sys::send_message(pair.second, bytes, {}, fds), sys::SendResult::kSent);
  }
  void say(Op op, std::string_view payload, uint16_t fds = 0) {
    Header h{static_cast<uint16_t>(op), fds, static_cast<uint32_t>(payload.size())};
    raw(std::string(body_bytes(h)) + std::string(payload));
  }
  void turn() { loop->run_once(loop::Millis(0)); }

  std::unique_ptr<loop::EventLoop> loop;
  sys::SocketPair pair;
  std::unique_ptr<Channel> channel;
  std::vector<Op> ops;
  std::vector<std::string> payloads;
  std::vector<sys::Fd> received;
  int closed = 0;
  std::string violation;
};

TEST(Channel, DeliversWhatTheTableAllows) {
  Fixture f;
  uint32_t site = 7;
  f.say(Op::kWakeSite, body_bytes(site));
  f.turn();
  ASSERT_EQ(f.ops, std::vector<Op>{Op::kWakeSite});
  EXPECT_EQ(read_body<uint32_t>(f.payloads[0]), 7u);
  EXPECT_EQ(f.closed, 0);
}

TEST(Channel, ClosesOnAnOperationThatIsNotTheSenders) {
  Fixture f(Role::kPool);
  uint32_t site = 7;
  f.say(Op::kWakeSite, body_bytes(site));
  f.turn();
  EXPECT_TRUE(f.ops.empty());
  EXPECT_EQ(f.closed, 1);
  EXPECT_NE(f.violation.find("wake-site"), std::string::npos);
}

TEST(Channel, ClosesOnADatagramWithoutAHeader) {
  Fixture f;
  f.raw("abc");
  f.turn();
  EXPECT_EQ(f.closed, 1);
}

TEST(Channel, ClosesOnADatagramThatIsTooLarge) {
  Fixture f;
  f.raw(std::string(kMaxPayload + sizeof(Header) + 1, 'x'));
  f.turn();
  EXPECT_EQ(f.closed, 1);
  EXPECT_FALSE(f.violation.empty());
}

TEST(Channel, ClosesOnDescriptorsThatWereNotAnnounced) {
  Fixture f;
  uint32_t site = 7;
  Header h{static_cast<uint16_t>(Op::kWakeSite), 0, 4};
  f.raw(std::string(body_bytes(h)) + std::string(body_bytes(site)), {sys::FdRef(0)});
  f.turn();
  EXPECT_EQ(f.closed, 1);
  EXPECT_TRUE(f.ops.empty());
}

TEST(Channel, TellsAnEndFromAViolation) {
  Fixture f;
  f.pair.second.reset();
  f.turn();
  EXPECT_EQ(f.closed, 1);
  EXPECT_EQ(f.violation, "");
}

TEST(Channel, QueuesWhenThePeerIsSlowAndKeepsTheOrder) {
  Fixture f;
  constexpr uint32_t kMessages = 2000;
  for (uint32_t i = 0; i < kMessages; ++i) {
    SiteDownBody body{i, 0, 0};
    ASSERT_TRUE(f.channel->send(Op::kSiteDown, body_bytes(body)));
  }
  EXPECT_FALSE(f.channel->flushed());
  char buffer[256];
  size_t size = 0;
  std::vector<sys::Fd> fds;
  uint32_t got = 0;
  while (got < kMessages) {
    auto result = sys::receive_message(f.pair.second, buffer, &size, &fds);
    if (result == sys::ReceiveResult::kWouldBlock) {
      f.turn();
      continue;
    }
    ASSERT_EQ(result, sys::ReceiveResult::kMessage);
    auto body = read_body<SiteDownBody>({buffer + sizeof(Header), size - sizeof(Header)});
    ASSERT_EQ(body->site, got++);
  }
  f.turn();
  EXPECT_TRUE(f.channel->flushed());
}

TEST(Channel, CarriesDescriptorsAlsoThroughTheQueue) {
  Fixture f;
  sys::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  sys::FdRef refs[] = {null};
  uint32_t sent = 0;
  while (f.channel->flushed()) {
    ASSERT_TRUE(f.channel->send(Op::kReopen, {}, refs));
    ++sent;
  }
  null.reset();  // the queue holds its own copy
  char buffer[64];
  size_t size = 0;
  std::vector<sys::Fd> fds;
  for (uint32_t got = 0; got < sent;) {
    auto result = sys::receive_message(f.pair.second, buffer, &size, &fds);
    if (result == sys::ReceiveResult::kWouldBlock) {
      f.turn();
      continue;
    }
    ASSERT_EQ(fds.size(), 1u);
    ++got;
  }
}

TEST(Channel, GivesUpOnAPeerThatNeverReads) {
  Fixture f;
  bool refused = false;
  for (size_t i = 0; i < Channel::kQueueMax * 2 && !refused; ++i) {
    refused = !f.channel->send(Op::kQuit);
  }
  EXPECT_TRUE(refused);
  f.turn();
  EXPECT_EQ(f.closed, 1);
  EXPECT_FALSE(f.violation.empty());
}

TEST(Channel, SurvivesBeingDestroyedByItsOwnHandler) {
  auto loop = std::move(*loop::EventLoop::create());
  auto pair = std::move(*sys::seqpacket_pair());
  std::unique_ptr<Channel> channel;
  channel = std::move(*Channel::create(
      *loop, std::move(pair.first), Role::kFront, Phase::kServing,
      [&](Op, std::string_view, std::vector<sys::Fd>&) { channel.reset(); },
      [](const std::string&) {}));
  uint32_t site = 1;
  Header h{static_cast<uint16_t>(Op::kWakeSite), 0, 4};
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(sys::send_message(pair.second, body_bytes(h), body_bytes(site)),
              sys::SendResult::kSent);
  }
  loop->run_once(loop::Millis(0));
  EXPECT_EQ(channel, nullptr);
}

// Random datagrams: never a crash, never an operation of another role, one close at most.
TEST(Channel, WithstandsRandomDatagrams) {
  std::mt19937 random(42);
  for (int round = 0; round < 2000; ++round) {
    Fixture f(round % 2 == 0 ? Role::kPool : Role::kOpener);
    for (int i = 0; i < 4 && f.closed == 0; ++i) {
      Header h{static_cast<uint16_t>(random() % 150), static_cast<uint16_t>(random() % 3),
               static_cast<uint32_t>(random() % 40)};
      std::string bytes(body_bytes(h));
      size_t size = random() % 3 == 0 ? random() % 40 : h.size;
      for (size_t k = 0; k < size; ++k) bytes += static_cast<char>(random());
      std::vector<sys::FdRef> fds(random() % 3, sys::FdRef(0));
      (void)sys::send_message(f.pair.second, bytes, {}, fds);
      f.turn();
    }
    EXPECT_LE(f.closed, 1);
    for (Op op : f.ops) {
      EXPECT_TRUE(op == Op::kReady || op == Op::kLog || op == Op::kIdle || op == Op::kPoolFailed);
    }
  }
}

}  // namespace
}  // namespace bulkhead::ipc
