// The caller against a door and pools that say what they should not.
#include "exec/client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <thread>

#include "exec/order.h"
#include "exec/protocol.h"
#include "sys/message.h"
#include "sys/sockets.h"

namespace bulkhead::exec {
namespace {

template <class T>
std::string_view bytes_of(const T& body) {
  return {reinterpret_cast<const char*>(&body), sizeof body};
}

void wait_readable(sys::FdRef fd) {
  pollfd p{fd.get(), POLLIN, 0};
  ::poll(&p, 1, -1);
}

// What a pool got with its order.
struct Got {
  OrderMessage message{};
  Order order;
  std::vector<sys::Fd> fds;
};
Got take_order(sys::FdRef session) {
  Got got;
  char buffer[256];
  size_t size = 0;
  wait_readable(session);
  EXPECT_EQ(sys::receive_message(session, buffer, &size, &got.fds), sys::ReceiveResult::kMessage);
  EXPECT_EQ(size, sizeof got.message);
  std::memcpy(&got.message, buffer, sizeof got.message);
  auto bytes = read_sealed(got.fds.at(0), got.message.bytes);
  EXPECT_TRUE(bytes);
  got.order = decode(*bytes).value();
  return got;
}

// A door that admits one caller, whose pool is a function.
class Door {
 public:
  explicit Door(std::function<void(sys::Fd session)> pool) : pool_(std::move(pool)) {
    char folder[] = "/tmp/bh-door-XXXXXX";
    folder_ = ::mkdtemp(folder);
    socket_ = std::move(*sys::listen_on(*sys::make_unix_address(path()), {.backlog = 4}));
    thread_ = std::thread([this] { serve(); });
  }
  ~Door() {
    thread_.join();
    ::unlink(path().c_str());
    ::rmdir(folder_.c_str());
  }
  [[nodiscard]] std::string path() const { return folder_ + "/x.exec"; }
  [[nodiscard]] ExecRequest request() const {
    ExecRequest r;
    r.socket = path();
    r.site = "shop";
    r.argv = {"true"};
    r.in = r.out = r.err = sys::FdRef();
    return r;
  }

 private:
  void serve() {
    wait_readable(socket_);
    sys::Fd caller = sys::accept_one(socket_);
    char question[64];
    wait_readable(caller);
    EXPECT_EQ(::read(caller.get(), question, sizeof question), 8 + 4);
    sys::SocketPair pair = *sys::seqpacket_pair();
    const Answer answer{Verdict::kGo, ::getuid(), ::getgid(), 0};
    const sys::FdRef fds[] = {pair.second};
    EXPECT_EQ(sys::send_message(caller, bytes_of(answer), {}, fds), sys::SendResult::kSent);
    pair.second.reset();
    pool_(std::move(pair.first));
  }
  std::function<void(sys::Fd)> pool_;
  std::string folder_;
  sys::Fd socket_;
  std::thread thread_;
};

void tell(sys::FdRef session, SessionOp op, int32_t value, std::string_view text = {}) {
  const SessionMessage head{op, value};
  EXPECT_EQ(sys::send_message(session, bytes_of(head), text), sys::SendResult::kSent);
}

TEST(RunInSite, TellsHowTheCommandEnded) {
  Door door([](sys::Fd session) {
    const Got got = take_order(session);
    EXPECT_EQ(got.order.argv, std::vector<std::string>{"true"});
    EXPECT_EQ(got.fds.size(), 4u);  // the order, 0, 1, 2
    EXPECT_EQ(got.message.has_terminal, 0u);
    tell(session, SessionOp::kOutcome, 0x0300);
  });
  auto status = run_in_site(door.request());
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ(*status, 0x0300);
}

TEST(RunInSite, HangsUpWhenItTakesTooLong) {
  Door door([](sys::Fd session) {
    (void)take_order(session);
    wait_readable(session);  // until the caller has closed
    char byte;
    size_t size = 0;
    std::vector<sys::Fd> fds;
    EXPECT_EQ(sys::receive_message(session, {&byte, 1}, &size, &fds), sys::ReceiveResult::kClosed);
  });
  ExecRequest request = door.request();
  request.timeout = std::chrono::milliseconds(50);
  auto status = run_in_site(request);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().errno_value, ETIMEDOUT);
}

TEST(RunInSite, TakesNothingFromAPoolThatTalksNonsense) {
  const std::function<void(sys::FdRef)> nonsense[] = {
      [](sys::FdRef s) { tell(s, static_cast<SessionOp>(99), 0); },
      [](sys::FdRef s) { tell(s, SessionOp::kOrder, 0); },
      [](sys::FdRef s) { EXPECT_EQ(sys::send_message(s, "x", {}), sys::SendResult::kSent); },
      [](sys::FdRef s) { tell(s, SessionOp::kRefused, 0, std::string(8192, 'x')); },
      [](sys::FdRef) {},  // closes without a word
  };
  for (const auto& say : nonsense) {
    Door door([&](sys::Fd session) {
      (void)take_order(session);
      say(session);
    });
    EXPECT_FALSE(run_in_site(door.request()));
  }
}

TEST(RunInSite, HearsARefusalOfAPoolThatDidNotReadTheOrder) {
  Door door([](sys::Fd session) {
    wait_readable(session);  // the order is there, and is closed over
    tell(session, SessionOp::kRefused, EAGAIN, "too many \x1b[2J\n");
  });
  auto status = run_in_site(door.request());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().text, "refused: too many .[2J.");
  EXPECT_EQ(status.error().errno_value, EAGAIN);
}

TEST(RunInSite, PassesNoDirectoryIntoTheSite) {
  Door door([](sys::Fd session) { wait_readable(session); });
  ExecRequest request = door.request();
  sys::Fd root(::open("/", O_RDONLY | O_CLOEXEC));
  request.out = root;
  auto status = run_in_site(request);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().text, "standard output is a directory");
}

TEST(RunInSite, SaysThatNobodyIsThere) {
  ExecRequest request;
  request.socket = "/nonexistent/x.exec";
  request.site = "shop";
  request.argv = {"true"};
  auto status = run_in_site(request);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().errno_value, ENOENT);
}

TEST(SocketPath, StandsBesideThePidFile) {
  EXPECT_EQ(socket_path("/run/bulkhead.pid"), "/run/bulkhead.exec");
  EXPECT_EQ(socket_path("/run/bulkhead.ctl"), "/run/bulkhead.exec");
  EXPECT_EQ(socket_path("/run/bulkhead.exec"), "/run/bulkhead.exec");
  EXPECT_EQ(socket_path("/run/bulkhead"), "/run/bulkhead.exec");
}

}  // namespace
}  // namespace bulkhead::exec
