#include "front/connection.h"

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cstring>

#include "front/server_loop.h"

namespace bulkhead::front {

using config::LogLevel;

namespace {
constexpr uint32_t kReadableBits = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr uint32_t kClosedBits = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr size_t kLingerScratch = 4096;
constexpr int kLastReads = 16;
constexpr int kLingerReads = 64;  // in one turn of the loop
// Of one connection in one turn: a client that sends requests without waiting for answers gets no
// more turns than others.
constexpr uint8_t kRequestsPerTurn = 16;

// Address, port and binary form of a peer or of our own side.
void describe_address(const sys::SocketAddress& from, std::string* text, uint16_t* port,
                      std::string* binary) {
  const void* address = nullptr;
  size_t size = 0;
  if (from.storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(from.storage);
    address = &in.sin_addr;
    size = 4;
    *port = ntohs(in.sin_port);
  } else if (from.storage.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(from.storage);
    address = &in.sin6_addr;
    size = 16;
    *port = ntohs(in.sin6_port);
  }
  if (address == nullptr) {
    *text = "unix:";
    *port = 0;
    if (binary != nullptr) *binary = "unix:";
    return;
  }
  *text = sys::print_ip(from);
  if (binary != nullptr) binary->assign(static_cast<const char*>(address), size);
}

// Above all numbers of sites.
uint64_t account_of_client(std::string_view peer) {
  return std::hash<std::string_view>()(peer) | uint64_t{1} << 63;
}
}  // namespace

Connection::Connection(ServerLoop& loop) : loop_(loop), deadline_([this] { on_deadline(); }) {}

Connection::~Connection() { shut(); }

void Connection::shut() {
  deadline_.cancel();
  if (socket_.fd.valid()) loop_.events().remove(socket_.fd, this);
  socket_.fd.reset();
  turn_ = nullptr;
  listener_.reset();
  state_ = State::kFree;
}

void Connection::fill_facts(const sys::SocketAddress& peer) {
  describe_address(peer, &facts_.peer, &facts_.peer_port, &facts_.peer_binary);
  facts_.peer_is_unix = peer.storage.ss_family == AF_UNIX;
  describe_address(sys::own_address(socket_.fd), &facts_.local, &facts_.local_port, nullptr);
  facts_.socket = socket_.fd.get();
}

void Connection::open(sys::Fd fd, const sys::SocketAddress& peer,
                      std::shared_ptr<Listener> listener, uint64_t serial) {
  socket_.reset();
  socket_.fd = std::move(fd);
  socket_.is_unix = peer.storage.ss_family == AF_UNIX;
  listener_ = std::move(listener);
  paused_ = yielded_ = false;
  facts_.serial = serial;
  facts_.requests = 0;
  facts_.started = loop_.events().now();
  fill_facts(peer);
  account_ = account_of_client(facts_.peer);
  counted_ = 0;
  loop_.shared().counters.active.fetch_add(1, std::memory_order_relaxed);
  set_state(State::kIdle);
  loop_.note_idle(*this);
  deadline_.set(loop_.events(), loop_.default_server(*listener_).client_header_timeout);
  uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  if (Status added = loop_.events().add(socket_.fd, events, this); !added) {
    log(LogLevel::kAlert, added.error().describe(), 0);
    close_now();
    loop_.retire(*this);
  }
}

void Connection::log(LogLevel level, std::string_view text, int errno_value) {
  if (turn_ != nullptr && turn_->ex.location != nullptr) {
    loop_.phases().log_error(turn_->ex, level, text, errno_value);
  } else {
    loop_.log_connection(facts_, *listener_, level, text, errno_value);
  }
}

void Connection::on_ready(uint32_t events) {
  if ((events & kReadableBits) != 0) socket_.readable = true;
  if ((events & kClosedBits) != 0) socket_.peer_closed = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) socket_.writable = true;
  loop_.line_up(*this);
}

void Connection::yield() {
  if (!std::exchange(yielded_, true)) loop_.continue_soon(*this);
}

void Connection::drive() {
  if (driving_) {
    again_ = true;
    return;
  }
  driving_ = true;
  begun_ = 0;
  do {
    again_ = false;
    while (step() == Next::kGoOn) {
    }
  } while (again_);
  driving_ = false;
  if (state_ == State::kClosed) loop_.retire(*this);
}

Connection::Next Connection::step() {
  switch (state_) {
    case State::kIdle:
      return step_idle();
    case State::kHead:
      return step_head();
    case State::kCollecting:
      return step_collecting();
    case State::kWaitingApp:
      return step_waiting_app();
    case State::kResponding:
      return step_responding();
    case State::kDraining:
      return step_draining();
    case State::kLingering:
      return step_lingering();
    case State::kFree:
    case State::kDeciding:
    case State::kClosed:
      return Next::kWait;
  }
  return Next::kWait;
}

// Moves this connection between the counters of stub_status.
void Connection::set_state(State state) {
  state_ = state;
  ServerCounters& counters = loop_.shared().counters;
  std::atomic<uint64_t>* const gauges[] = {nullptr, &counters.waiting, &counters.reading,
                                           &counters.writing};
  uint8_t now = 0;
  if (state == State::kIdle) now = 1;
  if (state == State::kHead) now = 2;
  if (state > State::kHead && state < State::kLingering) now = 3;
  if (now == counted_) return;
  if (counted_ != 0) gauges[counted_]->fetch_sub(1, std::memory_order_relaxed);
  if (now != 0) gauges[now]->fetch_add(1, std::memory_order_relaxed);
  counted_ = now;
}

// ---- waiting for a request ---------------------------------------------------------------------

Connection::Next Connection::step_idle() {
  if (socket_.input.empty() && !socket_.readable) return Next::kWait;
  if (begun_ >= kRequestsPerTurn) {
    yield();
    return Next::kWait;
  }
  if (socket_.input.empty()) {
    socket_.input.reserve(loop_.blocks(), BlockPool::kBlock);
    sys::Moved moved = socket_.receive_more();
    if (moved.bytes == 0) {
      socket_.input.release_if_empty(loop_.blocks());
      if (moved.must_wait()) return Next::kWait;
      if (!moved.ok()) {
        log(LogLevel::kInfo, "recv() failed", moved.error);
      } else if (facts_.requests > 0) {
        log(LogLevel::kInfo, "client " + facts_.peer + " closed keepalive connection", 0);
      } else {
        log(LogLevel::kInfo, "client closed connection", 0);
      }
      close_now();
      return Next::kWait;
    }
  }
  ++begun_;
  loop_.note_busy(*this);
  begin_turn();
  return Next::kGoOn;
}

void Connection::become_idle() {
  bool listens = listener_->index != config::kNone;
  if (loop_.quitting() || !listens) {
    close_now();
    return;
  }
  set_state(State::kIdle);
  loop_.note_idle(*this);
}

void Connection::close_idle() {
  if (state_ != State::kIdle) return;
  close_now();
  if (!driving_) loop_.retire(*this);
}

void Connection::finish_idle() {
  if (state_ != State::kIdle) return;
  // A new client's first request is on its way; and what has arrived is answered.
  if (facts_.requests == 0 || !socket_.input.empty() || sys::unread_bytes(socket_.fd) > 0) return;
  // A request that crosses our end on the way must not turn it into a reset: the client shall see
  // a connection closed between requests, and may repeat it.
  sys::shut_down_writing(socket_.fd);
  char scratch[kLingerScratch];
  for (int reads = 0; reads < kLastReads; ++reads) {
    sys::Moved moved = sys::receive(socket_.fd, scratch, sizeof scratch);
    if (!moved.ok() || moved.bytes == 0) break;
  }
  close_idle();
}

void Connection::on_deadline() {
  if (in_line) {  // what has just come counts: it is looked at first
    deadline_.set(loop_.events(), loop::Millis(1));
    return;
  }
  switch (state_) {
    case State::kIdle:
      if (facts_.requests == 0) log(LogLevel::kInfo, "client timed out", ETIMEDOUT);
      close_now();
      break;
    case State::kHead:
      abandon(LogLevel::kInfo, "client timed out", ETIMEDOUT);
      break;
    case State::kCollecting:
    case State::kWaitingApp:
      turn_->client_gone = true;
      loop_.phases().on_body_error(turn_->ex, 408, "", LogLevel::kInfo);
      break;
    case State::kResponding:
      if (!std::exchange(paused_, false)) time_out_sending();
      break;
    case State::kDraining:
    case State::kLingering:
      close_now();
      break;
    case State::kFree:
    case State::kDeciding:
    case State::kClosed:
      break;
  }
  drive();
}

void Connection::time_out_sending() {
  log(LogLevel::kInfo, "client timed out", ETIMEDOUT);
  if (turn_->ex.conf().reset_timedout_connection) sys::set_reset_on_close(socket_.fd);
  end_connection();
}

// The head will never be complete: 408 or 400 goes to the access log only.
void Connection::abandon(LogLevel level, std::string_view text, int errno_value) {
  turn_->client_gone = true;
  std::string reason = Error{std::string(text), errno_value}.describe();
  loop_.phases().reject(turn_->ex, errno_value == ETIMEDOUT ? 408 : 400, reason, level);
}

// ---- the end of a request and of a connection
// ----------------------------------------------------

void Connection::finish_turn() {
  if (turn_ == nullptr || turn_->finished) return;
  turn_->finished = true;
  turn_->ex.request_body_bytes = turn_->body.received();
  loop_.phases().finish(turn_->ex);
}

void Connection::release_turn() {
  if (turn_ == nullptr) return;
  if (std::string_view surplus = turn_->body.surplus(); !surplus.empty()) {
    socket_.input.append(loop_.blocks(), surplus);
  }
  loop_.give_turn(std::exchange(turn_, nullptr));
  socket_.input.release_if_empty(loop_.blocks());
}

// Cuts the connection without waiting for anything; the request, if any, is logged.
void Connection::end_connection() {
  finish_turn();
  close_now();
}

void Connection::close_now() {
  if (state_ == State::kClosed || state_ == State::kFree) return;
  if (state_ == State::kIdle) loop_.note_busy(*this);
  finish_turn();
  release_turn();
  set_state(State::kClosed);
  deadline_.clear();
  socket_.input.clear(loop_.blocks());
  if (socket_.fd.valid()) {
    loop_.events().remove(socket_.fd, this);
    socket_.fd.reset();
  }
  listener_.reset();
  loop_.shared().counters.active.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::linger_or_close() {
  using Linger = config::LocConf::LingeringClose;
  const config::LocConf& conf = turn_->ex.conf();
  bool has_more = !turn_->body.complete() || !socket_.input.empty() ||
                  !turn_->body.surplus().empty() || sys::unread_bytes(socket_.fd) > 0;
  bool linger = !socket_.peer_closed && !turn_->client_gone &&
                (conf.lingering_close == Linger::kAlways ||
                 (conf.lingering_close == Linger::kOn && has_more));
  if (!linger) {
    close_now();
    return;
  }
  linger_until_ = loop_.events().now() + conf.lingering_time;
  deadline_.set(loop_.events(), conf.lingering_timeout);
  release_turn();
  socket_.input.clear(loop_.blocks());
  sys::shut_down_writing(socket_.fd);
  set_state(State::kLingering);
}

Connection::Next Connection::step_lingering() {
  char scratch[kLingerScratch];
  for (int reads = 0;; ++reads) {
    if (reads == kLingerReads) {
      yield();
      return Next::kWait;
    }
    sys::Moved moved = socket_.receive(scratch, sizeof scratch);
    if (moved.must_wait()) {
      auto left = std::chrono::duration_cast<loop::Millis>(linger_until_ - loop_.events().now());
      if (left.count() > 0) return Next::kWait;
    }
    if (!moved.ok() || moved.bytes == 0) {
      close_now();
      return Next::kWait;
    }
  }
}

Connection::Next Connection::step_draining() {
  BodyReader::Step step = turn_->body.pump(socket_);
  const config::LocConf& conf = turn_->ex.conf();
  if (step == BodyReader::Step::kWait || step == BodyReader::Step::kYield) {
    if (loop_.events().now() >= linger_until_) {
      close_now();
      return Next::kWait;
    }
    deadline_.set(loop_.events(), conf.lingering_timeout);
    if (step == BodyReader::Step::kYield) yield();
    return Next::kWait;
  }
  if (step == BodyReader::Step::kFailed) {
    close_now();
    return Next::kWait;
  }
  deadline_.set(loop_.events(), conf.keepalive_timeout);
  release_turn();
  become_idle();
  return Next::kGoOn;
}

}  // namespace bulkhead::front
