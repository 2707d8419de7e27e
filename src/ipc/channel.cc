#include "ipc/channel.h"

#include <sys/epoll.h>

#include "sys/files.h"
#include "sys/message.h"

namespace bulkhead::ipc {
namespace {
constexpr int kMessagesPerTurn = 64;  // then other descriptors of the loop get their turn
}

Channel::Channel(loop::EventLoop& loop, sys::Fd socket, Role peer, Phase phase,
                 OnMessage on_message, OnClosed on_closed)
    : loop_(loop),
      socket_(std::move(socket)),
      permit_(peer, phase),
      on_message_(std::move(on_message)),
      on_closed_(std::move(on_closed)),
      alive_(std::make_shared<bool>(true)) {}

Result<std::unique_ptr<Channel>> Channel::create(loop::EventLoop& loop, sys::Fd socket, Role peer,
                                                 Phase phase, OnMessage on_message,
                                                 OnClosed on_closed) {
  auto channel = std::unique_ptr<Channel>(new Channel(loop, std::move(socket), peer, phase,
                                                      std::move(on_message), std::move(on_closed)));
  TRY_STATUS(loop.add(channel->socket_, EPOLLIN, channel.get()));
  return channel;
}

Channel::~Channel() {
  *alive_ = false;
  if (socket_.valid()) loop_.remove(socket_, this);
}

static_assert(kMaxFds <= sys::kMessageFdsMax, "what the table allows must fit a message");

bool Channel::send(Op op, std::string_view payload, std::span<const sys::FdRef> fds) {
  if (closed_) return false;
  Header header{static_cast<uint16_t>(op), static_cast<uint16_t>(fds.size()),
                static_cast<uint32_t>(payload.size())};
  std::string_view head(reinterpret_cast<const char*>(&header), sizeof header);
  if (queue_.empty()) {
    switch (sys::send_message(socket_, head, payload, fds)) {
      case sys::SendResult::kSent:
        return true;
      case sys::SendResult::kClosed:
        return false;  // the loop reports the hang-up
      case sys::SendResult::kWouldBlock:
        break;
    }
  }
  if (queue_.size() >= kQueueMax) {
    auto alive = alive_;
    loop_.defer([this, alive] {
      if (*alive) close("does not read its messages");
    });
    return false;
  }
  Queued queued;
  queued.bytes.append(head).append(payload);
  for (sys::FdRef fd : fds) {
    auto copy = sys::duplicate(fd);
    if (!copy) return false;
    queued.fds.push_back(std::move(*copy));
  }
  queue_.push_back(std::move(queued));
  want_write(true);
  return true;
}

void Channel::want_write(bool on) {
  if (writing_ == on || closed_) return;
  writing_ = on;
  (void)loop_.modify(socket_, on ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
}

void Channel::flush() {
  while (!queue_.empty()) {
    std::vector<sys::FdRef> fds(queue_.front().fds.begin(), queue_.front().fds.end());
    switch (sys::send_message(socket_, queue_.front().bytes, {}, fds)) {
      case sys::SendResult::kSent:
        queue_.pop_front();
        break;
      case sys::SendResult::kWouldBlock:
        return;
      case sys::SendResult::kClosed:
        queue_.clear();
        break;
    }
  }
  want_write(false);
}

void Channel::close(std::string violation) {
  if (closed_) return;
  closed_ = true;
  queue_.clear();
  loop_.remove(socket_, this);
  socket_.reset();
  auto handler = on_closed_;  // a copy: it may destroy us
  handler(violation);
}

void Channel::receive_some() {
  auto alive = alive_;
  // One byte more than the largest message: a longer one arrives truncated and is refused.
  char buffer[sizeof(Header) + kMaxPayload];
  std::vector<sys::Fd> fds;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    size_t size = 0;
    switch (sys::receive_message(socket_, buffer, &size, &fds)) {
      case sys::ReceiveResult::kWouldBlock:
        return;
      case sys::ReceiveResult::kClosed:
        return close("");
      case sys::ReceiveResult::kInvalid:
        return close("sent a message that is too large");
      case sys::ReceiveResult::kMessage:
        break;
    }
    Header header;
    if (size < sizeof header) return close("sent a message without a header");
    std::memcpy(&header, buffer, sizeof header);
    std::string_view payload(buffer + sizeof header, size - sizeof header);
    Verdict verdict =
        permit_.check(header, payload.size(), fds.size(), std::chrono::steady_clock::now());
    if (verdict != Verdict::kAllowed) {
      const Rule* rule = find_rule(header.op);
      std::string name = rule != nullptr ? std::string(rule->name) : std::to_string(header.op);
      return close("sent message \"" + name + "\": " + std::string(describe(verdict)));
    }
    on_message_(static_cast<Op>(header.op), payload, fds);
    if (!*alive || closed_) return;
  }
}

void Channel::drain() {
  if (!closed_) receive_some();
}

void Channel::on_ready(uint32_t events) {
  auto alive = alive_;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive_some();
  if (*alive && !closed_ && (events & EPOLLOUT) != 0) flush();
}

}  // namespace bulkhead::ipc
