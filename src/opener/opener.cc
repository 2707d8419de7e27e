#include "opener/opener.h"

#include <sys/epoll.h>

#include <cstring>
#include <optional>
#include <string>

#include "opener/file_ops.h"
#include "sys/message.h"
#include "sys/stream_io.h"

namespace bulkhead::opener {
namespace {
constexpr int kRequestsPerTurn = 32;
}

class Opener::Channel : public loop::IoHandler {
 public:
  Channel(Opener& owner, sys::Fd socket) : owner_(owner), socket_(std::move(socket)) {}
  ~Channel() override { close(); }

  Status start() {
    sys::set_nonblocking(socket_);
    return owner_.loop_.add(socket_, EPOLLIN, this);
  }
  void close() {
    if (!socket_.valid()) return;
    owner_.loop_.remove(socket_, this);
    socket_.reset();
  }
  [[nodiscard]] bool open() const { return socket_.valid(); }

  void on_ready(uint32_t events) override {
    owner_.last_active_ = owner_.loop_.now();
    // While an answer waits for room no question is read: front slows itself down.
    if (unsent_) {
      FileAnswer answer = std::move(*unsent_);
      unsent_.reset();
      if (!reply(std::move(answer))) return;
      (void)owner_.loop_.modify(socket_, EPOLLIN, this);
    }
    for (int i = 0; i < kRequestsPerTurn; ++i) {
      if (!serve_one()) return;
    }
  }

 private:
  void fail() {
    close();
    owner_.channel_closed();
  }

  // False: stop for now, or for ever (this may have been destroyed).
  bool serve_one() {
    size_t size = 0;
    std::vector<sys::Fd> fds;  // nobody sends any; what comes is closed
    switch (sys::receive_message(socket_, buffer_, &size, &fds)) {
      case sys::ReceiveResult::kMessage:
        break;
      case sys::ReceiveResult::kWouldBlock:
        return false;
      case sys::ReceiveResult::kClosed:
      case sys::ReceiveResult::kInvalid:
        fail();
        return false;
    }
    ipc::FileRequest request;
    std::string_view bytes(buffer_, size);
    if (!fds.empty() || !take_request(bytes, request)) {
      fail();
      return false;
    }
    if (request.op == ipc::FileOp::kSpawn) {
      if (owner_.hooks_.spawn) owner_.hooks_.spawn();
      return true;
    }
    return reply(answer_file_request(request, bytes));
  }

  // Checks the message and leaves the path in `bytes`.
  static bool take_request(std::string_view& bytes, ipc::FileRequest& request) {
    if (bytes.size() < sizeof request) return false;
    std::memcpy(&request, bytes.data(), sizeof request);
    bytes.remove_prefix(sizeof request);
    if (request.op < ipc::FileOp::kOpen || request.op > ipc::FileOp::kConnect) return false;
    if (request.rule > ipc::SymlinkRule::kIfNotOwner) return false;
    if (request.path_size != bytes.size() || request.from_size > request.path_size) return false;
    if (request.op == ipc::FileOp::kSpawn) return bytes.empty();
    return bytes.size() < ipc::kPathMax && bytes.starts_with('/') &&
           bytes.find('\0') == std::string_view::npos;
  }

  bool reply(FileAnswer answer) {
    std::string_view head(reinterpret_cast<const char*>(&answer.reply), sizeof answer.reply);
    sys::FdRef fd = answer.fd;
    std::span<const sys::FdRef> fds(&fd, answer.fd.valid() ? 1 : 0);
    switch (sys::send_message(socket_, head, answer.payload, fds)) {
      case sys::SendResult::kSent:
        return true;
      case sys::SendResult::kWouldBlock:
        unsent_ = std::move(answer);
        (void)owner_.loop_.modify(socket_, EPOLLOUT, this);
        return false;
      case sys::SendResult::kClosed:
        break;
    }
    fail();
    return false;
  }

  Opener& owner_;
  sys::Fd socket_;
  std::optional<FileAnswer> unsent_;
  char buffer_[sizeof(ipc::FileRequest) + ipc::kPathMax];
};

Opener::Opener(loop::EventLoop& loop, Hooks hooks)
    : loop_(loop), hooks_(std::move(hooks)), last_active_(loop.now()) {}

Opener::~Opener() = default;

Result<std::unique_ptr<Opener>> Opener::create(loop::EventLoop& loop, std::vector<sys::Fd> channels,
                                               Hooks hooks) {
  std::unique_ptr<Opener> opener(new Opener(loop, std::move(hooks)));
  for (sys::Fd& socket : channels) {
    auto channel = std::make_unique<Channel>(*opener, std::move(socket));
    TRY_STATUS(channel->start());
    opener->channels_.push_back(std::move(channel));
    ++opener->open_;
  }
  return opener;
}

void Opener::channel_closed() {
  --open_;
  if (open_ == 0 && hooks_.closed) hooks_.closed();
}

}  // namespace bulkhead::opener
