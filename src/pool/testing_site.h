// What master and front hold of one site, for tests that fork real pools.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/pool_config.h"
#include "ipc/channel.h"
#include "ipc/protocol.h"
#include "ipc/site_channel.h"
#include "ring/front_ring.h"
#include "sys/message.h"

namespace bulkhead::pool::testing_site {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Params = std::vector<std::pair<std::string, std::string>>;

struct Socketpair {
  sys::Fd ours, theirs;
};
inline Socketpair make_pair() {
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
inline std::optional<Message> receive(sys::FdRef socket,
                                      std::chrono::milliseconds timeout = 5000ms) {
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

inline void send(sys::FdRef socket, ipc::Op op, std::string_view payload,
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
    // Looked at first: what a worker writes before it is done is then read below.
    const ring::SlotPhase phase = front_->phase(slot);
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
    r.dead |= phase == ring::SlotPhase::kDead;
    const bool over = phase == ring::SlotPhase::kDone || phase == ring::SlotPhase::kDead;
    return over && front_->release(slot);
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

}  // namespace bulkhead::pool::testing_site
