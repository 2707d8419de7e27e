#include "front/listener.h"

#include <sys/epoll.h>

namespace bulkhead::front {

Listener::Listener(loop::EventLoop& loop, std::shared_ptr<sys::Fd> socket, std::string listen_text,
                   OnAccept on_accept)
    : text(std::move(listen_text)),
      loop_(loop),
      socket_(std::move(socket)),
      on_accept_(std::move(on_accept)),
      resume_([this] { (void)start(); }) {}

Listener::~Listener() { stop(); }

Status Listener::start() {
  if (started_) return {};
  TRY_STATUS(loop_.add(*socket_, EPOLLIN | EPOLLEXCLUSIVE, this));
  started_ = true;
  return {};
}

void Listener::stop() {
  resume_.cancel();
  if (!started_) return;
  started_ = false;
  loop_.remove(*socket_, this);
}

void Listener::rest() {
  stop();
  resume_.arm(loop_, kAcceptRest);
}

void Listener::on_ready(uint32_t) {
  int left = multi_accept ? kAcceptBatchMulti : kAcceptBatch;
  for (; left > 0 && started_; --left) {
    sys::Accepted accepted = sys::accept_connection(*socket_);
    if (accepted.error == EAGAIN) return;
    // The client left before it was taken: the next one may be there.
    if (accepted.error == ECONNABORTED || accepted.error == EINTR) continue;
    bool failed = accepted.error != 0;
    on_accept_(*this, std::move(accepted));
    if (failed) return;
    if (++taken_ >= kAcceptTurn && started_) {
      taken_ = 0;
      loop_.remove(*socket_, this);
      started_ = false;
      (void)start();
      return;
    }
  }
}

}  // namespace bulkhead::front
