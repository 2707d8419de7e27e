// See question.h.
#include "top/question.h"

#include <sys/socket.h>

#include "master/control_socket.h"
#include "sys/sockets.h"
#include "sys/stream_io.h"

namespace bulkhead::top {

Result<Question> Question::ask(const std::string& pid_path) {
  Question question;
  question.socket_ = TRY(sys::connect_unix(master::control_path(pid_path)));
  // Who may not ask finds the connection closed: an empty answer.
  (void)::send(question.socket_.get(), "status\n", 7, MSG_NOSIGNAL);
  return question;
}

std::optional<std::string> Question::read_some() {
  char buffer[65536];
  const sys::Moved got = sys::receive(socket_, buffer, sizeof buffer);
  if (got.must_wait()) return {};
  if (got.ok() && got.bytes > 0) {
    text_.append(buffer, got.bytes);
    return {};
  }
  return std::move(text_);
}

}  // namespace bulkhead::top
