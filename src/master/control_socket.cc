#include "master/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include "sys/files.h"
#include "sys/sockets.h"
#include "sys/stream_io.h"

namespace bulkhead::master {
namespace {
constexpr size_t kAnswerMax = 256u << 20;
constexpr size_t kQuestionMax = 32;
constexpr int kAnswerPatience_s = 25;  // a report may take 20 (reports.h)
}  // namespace

// One connection, until its question is here.
class ControlSocket::Asker final : private loop::IoHandler {
 public:
  Asker(ControlSocket& door, sys::Fd socket)
      : door_(door), socket_(std::move(socket)), patience_([this] { door_.remove(this); }) {}
  ~Asker() override { stop(); }
  Status start() {
    TRY_STATUS(door_.loop_.add(socket_, EPOLLIN, this));
    listening_ = true;
    patience_.arm(door_.loop_, kQuestionPatience);
    return {};
  }
  void stop() {
    patience_.cancel();
    if (std::exchange(listening_, false)) door_.loop_.remove(socket_, this);
  }

 private:
  void on_ready(uint32_t) override {
    const sys::Moved got = sys::receive(socket_, buffer_ + have_, sizeof buffer_ - have_);
    if (got.must_wait()) return;
    if (got.ok()) have_ += got.bytes;
    const std::string_view text(buffer_, have_);
    const size_t end = text.find('\n');
    if (end == std::string_view::npos && got.ok() && got.bytes != 0 && have_ < sizeof buffer_) {
      return;
    }
    stop();
    if (end != std::string_view::npos) door_.answer_(text.substr(0, end), std::move(socket_));
    door_.remove(this);
  }

  ControlSocket& door_;
  sys::Fd socket_;
  loop::Timer patience_;
  bool listening_ = false;
  size_t have_ = 0;
  char buffer_[kQuestionMax];
};

ControlSocket::ControlSocket(loop::EventLoop& loop, std::string path, sys::Fd socket, Answer answer)
    : loop_(loop), path_(std::move(path)), socket_(std::move(socket)), answer_(std::move(answer)) {}

Result<std::unique_ptr<ControlSocket>> ControlSocket::create(loop::EventLoop& loop,
                                                             std::string path, Answer answer) {
  std::string address = TRY(sys::make_unix_address(path));
  sys::UnixAccess access;
  access.mode = 0600;
  auto socket = sys::listen_on(address, {.backlog = 16}, &access);
  if (!socket) {
    return fail_errno(socket.error().detail + " to unix:" + path + " failed",
                      socket.error().errno_value);
  }
  auto control = std::unique_ptr<ControlSocket>(
      new ControlSocket(loop, std::move(path), std::move(*socket), std::move(answer)));
  TRY_STATUS(loop.add(control->socket_, EPOLLIN, control.get()));
  return control;
}

ControlSocket::~ControlSocket() {
  askers_.clear();
  loop_.remove(socket_, this);
  sys::remove_file(path_);
}

void ControlSocket::on_ready(uint32_t) {
  sys::Fd connection = sys::accept_one(socket_);
  if (!connection.valid()) return;
  auto uid = sys::peer_uid(connection);
  if (!uid || (*uid != 0 && *uid != ::geteuid())) return;
  if (askers_.size() >= kAskersMax) return;  // closed: the asker says so
  auto asker = std::make_unique<Asker>(*this, std::move(connection));
  if (asker->start()) askers_.push_back(std::move(asker));
}

// It may be inside one of its own calls: it dies when the loop is back.
void ControlSocket::remove(Asker* asker) {
  auto at = std::find_if(askers_.begin(), askers_.end(),
                         [&](const auto& owned) { return owned.get() == asker; });
  if (at == askers_.end()) return;
  asker->stop();
  loop_.defer([dead = std::shared_ptr<Asker>(std::move(*at))] {});
  askers_.erase(at);
}

std::string control_path(const std::string& pid_path) {
  std::string path = pid_path;
  if (path.ends_with(".pid")) path.resize(path.size() - 4);
  return path + ".ctl";
}

Result<std::string> ask_master(const std::string& pid_path, std::string_view question) {
  sys::Fd socket = TRY(sys::connect_unix(control_path(pid_path)));
  timeval patience{kAnswerPatience_s, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string line = std::string(question) + "\n";
  // Who may not ask finds the connection closed already: no answer, and no signal.
  if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) return std::string();
    return fail_errno("send() to the control socket failed");
  }
  std::string out;
  char buffer[65536];
  ssize_t n;
  while ((n = ::read(socket.get(), buffer, sizeof buffer)) > 0 && out.size() < kAnswerMax) {
    out.append(buffer, static_cast<size_t>(n));
  }
  if (n < 0 && errno == ECONNRESET) return std::string();
  if (n < 0) return fail_errno("read() from the control socket failed");
  return out;
}

}  // namespace bulkhead::master
