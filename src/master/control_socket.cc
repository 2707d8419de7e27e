#include "master/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "sys/files.h"
#include "sys/sockets.h"

namespace bulkhead::master {
namespace {
constexpr size_t kAnswerMax = 64u << 20;
constexpr int kAnswerPatienceS = 5;
}  // namespace

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
  loop_.remove(socket_, this);
  sys::remove_file(path_);
}

void ControlSocket::on_ready(uint32_t) {
  sys::Fd connection = sys::accept_one(socket_);
  if (!connection.valid()) return;
  auto uid = sys::peer_uid(connection);
  if (!uid || (*uid != 0 && *uid != ::geteuid())) return;
  // One short answer into an empty socket buffer; who does not read it loses the rest.
  std::string text = answer_();
  int size = static_cast<int>(std::min<size_t>(text.size() + 4096, 8 << 20));
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  sys::write_all(connection, text);
}

std::string control_path(const std::string& pid_path) {
  std::string path = pid_path;
  if (path.ends_with(".pid")) path.resize(path.size() - 4);
  return path + ".ctl";
}

Result<std::string> ask_status(const std::string& pid_path) {
  sys::Fd socket = TRY(sys::connect_unix(control_path(pid_path)));
  timeval patience{kAnswerPatienceS, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string out;
  char buffer[16384];
  ssize_t n;
  while ((n = ::read(socket.get(), buffer, sizeof buffer)) > 0 && out.size() < kAnswerMax) {
    out.append(buffer, static_cast<size_t>(n));
  }
  if (n < 0) return fail_errno("read() from the control socket failed");
  return out;
}

}  // namespace bulkhead::master
