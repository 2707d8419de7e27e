#include "front/fastcgi_stream.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "sys/sockets.h"
#include "sys/stream_connect.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

namespace fcgi = http::fcgi;

namespace {
constexpr uint16_t kRequestId = 1;
constexpr int kReadsPerTurn = 4;
constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
}  // namespace

FastcgiStream::FastcgiStream(FastcgiClient& client, const FastcgiTarget& target,
                             const AppRequest& request, AppListener* listener)
    : client_(client),
      address_(target.address),
      sockaddr_(target.sockaddr),
      upstream_(target.upstream),
      target_(target),
      listener_(listener),
      read_timeout_(request.read_timeout),
      send_timeout_(request.send_timeout),
      head_max_(request.head_max),
      decoder_(kRequestId),
      deadline_([this] { on_timeout(); }),
      turn_([this] { on_turn(); }) {
  target_.address = address_;
  target_.sockaddr = sockaddr_;
  target_.upstream = upstream_;
  encode_request(request);
  begin();
}

FastcgiStream::~FastcgiStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  close_connection();
  if (buffer_) client_.give_buffer(std::move(buffer_));
}

void FastcgiStream::encode_request(const AppRequest& request) {
  const auto keep = target_.keep_conn ? fcgi::KeepConn::kYes : fcgi::KeepConn::kNo;
  std::string pairs;
  for (size_t i = 0; i < request.params->size(); ++i) {
    fcgi::append_pair(pairs, request.params->name(i), request.params->value(i));
  }
  outbox_.reserve(pairs.size() + request.inline_body.size() + 128);
  fcgi::append_begin_request(outbox_, kRequestId, fcgi::Role::kResponder, keep);
  fcgi::append_stream(outbox_, fcgi::Type::kParams, kRequestId, pairs);
  fcgi::append_stream_end(outbox_, fcgi::Type::kParams, kRequestId);
  fcgi::append_stream(outbox_, fcgi::Type::kStdin, kRequestId, request.inline_body);
}

// ---- the connection --------------------------------------------------------------------------

void FastcgiStream::begin() {
  connection_ = client_.take_idle(target_);
  reused_ = connection_.fd.valid();
  if (!reused_) return connect();
  register_connection();
  writable_ = true;
}

// Front reaches no path: somebody who may connects to a Unix socket and passes the connection.
bool FastcgiStream::ask_connector() {
  if (target_.connector == 0) return false;
  const std::string path = sys::unix_path(sockaddr_);
  if (!path.starts_with('/')) return false;
  connecting_ = true;
  writable_ = false;
  connecting_for_us_ = client_.connect_(
      target_.connector, path, [this](FileResult&& result) { connected(std::move(result)); });
  deadline_.set(client_.loop_, target_.connect_timeout);
  return true;
}

void FastcgiStream::connected(FileResult&& result) {
  connecting_ = false;
  if (error_ != AppError::kNone) return;
  if (result.error != 0) return fail_connect(result.error);
  deadline_.clear();
  connection_.fd = std::move(result.fd);
  connection_.opened = client_.loop_.now();
  connection_.requests = 0;
  writable_ = true;
  register_connection();
  flush();
  if (wants_room_ && unsent() < kOutboxMax && error_ == AppError::kNone) {
    wants_room_ = false;
    (void)notify([](AppListener& l) { l.on_app_writable(); });
  }
}

void FastcgiStream::fail_connect(int errno_value) {
  fail(AppError::kConnect, Error{"connect() to " + address_ + " failed", errno_value}.describe() +
                               " while connecting to upstream");
}

void FastcgiStream::connect() {
  if (ask_connector()) return;
  using Step = sys::Connecting::Step;
  sys::Connecting result = sys::connect_stream(sockaddr_);
  if (result.error != 0) {
    if (result.step == Step::kConnect) return fail_connect(result.error);
    return fail(AppError::kConnect, Error{"socket() failed", result.error}.describe() +
                                        " while connecting to upstream");
  }
  connection_.fd = std::move(result.fd);
  connection_.opened = client_.loop_.now();
  connection_.requests = 0;
  connecting_ = result.in_progress;
  writable_ = !connecting_;
  register_connection();
  if (connecting_) deadline_.set(client_.loop_, target_.connect_timeout);
}

void FastcgiStream::register_connection() {
  ++connection_.requests;
  if (Status added = client_.loop_.add(connection_.fd, kEvents, this); !added) {
    connection_.fd.reset();
    fail(AppError::kConnect, added.error().describe() + " while connecting to upstream");
  }
}

void FastcgiStream::close_connection() {
  if (!connection_.fd.valid()) return;
  client_.loop_.remove(connection_.fd, this);
  connection_.fd.reset();
}

// A kept connection was closed just as we took it: nobody has read the request yet.
void FastcgiStream::retry() {
  close_connection();
  reused_ = false;
  readable_ = false;
  out_at_ = 0;
  decoder_.clear();
  connect();
  flush();
}

void FastcgiStream::on_ready(uint32_t events) {
  if (connecting_) {
    if (const int error = sys::pending_error(connection_.fd); error != 0) {
      fail(AppError::kConnect,
           Error{"connect() failed", error}.describe() + " while connecting to upstream");
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    connecting_ = false;
  }
  if ((events & EPOLLOUT) != 0) writable_ = true;
  if ((events & ~uint32_t{EPOLLOUT}) != 0) readable_ = true;
  flush();
  if (wants_room_ && unsent() < kOutboxMax && error_ == AppError::kNone) {
    wants_room_ = false;
    if (!notify([](AppListener& l) { l.on_app_writable(); })) return;
  }
  pump();
}

// ---- the request -----------------------------------------------------------------------------

size_t FastcgiStream::write_body(std::string_view bytes) {
  // After the response the rest of the body interests nobody.
  if (over_ || error_ != AppError::kNone) return bytes.size();
  size_t taken = 0;
  while (taken < bytes.size() && unsent() < kOutboxMax && error_ == AppError::kNone) {
    const std::string_view part = bytes.substr(taken, kOutboxMax - unsent());
    fcgi::append_stream(outbox_, fcgi::Type::kStdin, kRequestId, part);
    taken += part.size();
    flush();
  }
  // What is left waits for the socket: only then does an event follow.
  wants_room_ = taken < bytes.size();
  return taken;
}

void FastcgiStream::finish_body() {
  if (over_ || stdin_done_ || error_ != AppError::kNone) return;
  stdin_done_ = true;
  fcgi::append_stream_end(outbox_, fcgi::Type::kStdin, kRequestId);
  flush();
}

void FastcgiStream::flush() {
  if (connecting_ || over_ || error_ != AppError::kNone) return;
  while (unsent() > 0 && writable_) {
    const iovec piece{outbox_.data() + out_at_, unsent()};
    const sys::Moved moved = sys::send_pieces(connection_.fd, &piece, 1, sys::More::kNo);
    if (moved.must_wait()) {
      writable_ = false;
      break;
    }
    if (!moved.ok()) {
      if (may_retry()) return retry();
      return fail_io("writev() failed", moved.error);
    }
    out_at_ += moved.bytes;
  }
  if (!reused_ || got_bytes_ || outbox_.size() > kReplayMax) {
    // A fresh connection is never repeated; drop what was sent.
    replayable_ = false;
    outbox_.erase(0, out_at_);
    out_at_ = 0;
  }
  set_timer();
}

// ---- the response ----------------------------------------------------------------------------

void FastcgiStream::pump() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    if (!readable_ || connecting_ || over_ || has_pieces() || error_ != AppError::kNone) break;
    if (!buffer_) buffer_ = client_.take_buffer();
    const sys::Moved moved = sys::receive(connection_.fd, buffer_.get(), kBufferSize);
    if (moved.must_wait()) {
      readable_ = false;
      break;
    }
    if (moved.ok() && moved.bytes > 0) {
      take_input(moved.bytes);
    } else if (may_retry()) {
      return retry();
    } else if (moved.ok()) {
      take_eof();
    } else {
      fail_io("recv() failed", moved.error);
    }
    if (!deliver()) return;
  }
  set_timer();
  const bool more = readable_ && !has_pieces() && !over_ && error_ == AppError::kNone;
  if (more) turn_.arm(client_.loop_, loop::Millis(0));
}

void FastcgiStream::take_input(size_t size) {
  using Event = fcgi::ClientDecoder::Event;
  got_bytes_ = true;
  std::string_view input(buffer_.get(), size);
  bool ended = false;
  pieces_.clear();
  first_ = 0;
  while (!input.empty() && error_ == AppError::kNone) {
    const auto out = decoder_.decode(input);
    input.remove_prefix(out.consumed);
    switch (out.event) {
      case Event::kMore:
        break;
      case Event::kStdout:
        take_stdout(out.data);
        break;
      case Event::kStderr:
        stderr_ += out.data;
        break;
      case Event::kStdoutEnd:
        stdout_ended_ = true;
        break;
      case Event::kEnd:
        ended = true;
        break;
      case Event::kError:
        if (ended) return finish(false);
        return fail(head_delivered_ ? AppError::kClosedInBody : AppError::kInvalid,
                    decoder_.error_text() + std::string(phase()));
    }
  }
  if (error_ != AppError::kNone) return;
  const bool closed = ended || (stdout_ended_ && !target_.keep_conn);
  if (closed && !head_complete_) {
    return fail(AppError::kInvalid, std::string("upstream prematurely closed FastCGI ") +
                                        (stdout_ended_ ? "stdout" : "request") +
                                        std::string(phase()));
  }
  if (closed) finish(ended && decoder_.at_boundary());
  news_ = news_ || has_pieces();
}

void FastcgiStream::take_stdout(std::string_view data) {
  if (!head_complete_) {
    const size_t end = scanner_.feed(data);
    head_ += data.substr(0, end);
    if (head_.size() > head_max_) {
      return fail(AppError::kInvalid,
                  "upstream sent too big header while reading response header from upstream");
    }
    if (end == std::string_view::npos) return;
    head_complete_ = true;
    data.remove_prefix(end);
  }
  if (!data.empty()) pieces_.push_back(data);
}

void FastcgiStream::take_eof() {
  if (head_complete_ && stdout_ended_) return finish(false);
  fail(head_delivered_ ? AppError::kClosedInBody : AppError::kClosed,
       "upstream prematurely closed connection" + std::string(phase()));
}

// The response is complete; a connection that may serve another request is kept.
void FastcgiStream::finish(bool keepable) {
  over_ = true;
  news_ = true;
  end_.app_status = decoder_.app_status();
  deadline_.clear();
  client_.loop_.remove(connection_.fd, this);
  const bool quiet = stdin_done_ && unsent() == 0;
  if (keepable && quiet && target_.keep_conn) {
    client_.keep(target_, std::move(connection_));
  }
  connection_.fd.reset();
}

// Tells the listener what take_input() found; false: the stream is gone.
bool FastcgiStream::deliver() {
  if (!stderr_.empty()) {
    const std::string text = std::move(stderr_);
    stderr_.clear();
    if (!notify([&text](AppListener& l) { l.on_app_stderr(text); })) return false;
  }
  if (head_complete_ && !head_delivered_ && error_ == AppError::kNone) {
    head_delivered_ = true;
    if (!notify([this](AppListener& l) { l.on_app_head(head_); })) return false;
  }
  if (news_ && head_delivered_) {
    news_ = false;
    return notify([](AppListener& l) { l.on_app_readable(); });
  }
  return true;
}

size_t FastcgiStream::peek(iovec* pieces, size_t max) {
  if (!head_delivered_) return 0;  // asked while stderr text is reported
  const size_t count = std::min(max, pieces_.size() - first_);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view piece = pieces_[first_ + i];
    pieces[i] = {const_cast<char*>(piece.data()), piece.size()};
  }
  peeked_all_ = count == pieces_.size() - first_;
  return count;
}

void FastcgiStream::consume(size_t bytes) {
  while (bytes > 0 && has_pieces()) {
    std::string_view& piece = pieces_[first_];
    const size_t size = std::min(bytes, piece.size());
    piece.remove_prefix(size);
    bytes -= size;
    if (piece.empty()) ++first_;
  }
  if (!has_pieces() && !over_ && readable_) turn_.arm(client_.loop_, loop::Millis(0));
}

// ---- errors and time -------------------------------------------------------------------------

std::string_view FastcgiStream::phase() const {
  if (connecting_) return " while connecting to upstream";
  if (unsent() > 0) return " while sending request to upstream";
  if (!head_delivered_) return " while reading response header from upstream";
  return " while reading upstream";
}

void FastcgiStream::fail_io(std::string_view call, int errno_value) {
  fail(head_delivered_ ? AppError::kClosedInBody : AppError::kClosed,
       Error{std::string(call), errno_value}.describe() + std::string(phase()));
}

void FastcgiStream::fail(AppError error, std::string detail) {
  if (error_ != AppError::kNone) return;
  error_ = error;
  detail_ = std::move(detail);
  deadline_.clear();
  close_connection();
  // Never from inside the listener's own call.
  turn_.arm(client_.loop_, loop::Millis(0));
}

void FastcgiStream::on_turn() {
  if (error_ == AppError::kNone) return pump();
  listener_->on_app_error(error_, detail_);
}

void FastcgiStream::on_timeout() {
  const AppError error = connecting_ ? AppError::kConnectTimeout : AppError::kTimeout;
  fail(error, Error{"upstream timed out", ETIMEDOUT}.describe() + std::string(phase()));
}

void FastcgiStream::set_timer() {
  if (connecting_ || over_ || error_ != AppError::kNone) return;
  if (unsent() > 0) {
    deadline_.set(client_.loop_, send_timeout_);
  } else if (stdin_done_ && !has_pieces()) {
    deadline_.set(client_.loop_, read_timeout_);
  } else {
    deadline_.clear();
  }
}

template <class Call>
bool FastcgiStream::notify(Call call) {
  bool destroyed = false;
  bool* const outer = std::exchange(destroyed_, &destroyed);
  call(*listener_);
  if (destroyed) {
    if (outer != nullptr) *outer = true;
    return false;
  }
  destroyed_ = outer;
  return true;
}

}  // namespace bulkhead::front
