#include "front/fastcgi_connection.h"

#include <sys/epoll.h>

#include <algorithm>

#include "http/ascii.h"
#include "ring/layout.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

namespace fcgi = http::fcgi;

namespace {
constexpr int kRoundsPerTurn = 8;
constexpr size_t kPiecesMax = 16;
constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr uint16_t kGaveUp = 499, kFailed = 502, kTooMany = 503;  // as nginx logs them

// What the head says in "Status: 404 ..."; 200 without.
uint16_t status_of(std::string_view head) {
  constexpr std::string_view kName = "status:";
  for (size_t at = 0; at < head.size();) {
    const size_t end = std::min(head.find('\n', at), head.size());
    std::string_view line = head.substr(at, end - at);
    at = end + 1;
    if (line.size() < kName.size() || !http::iequals(line.substr(0, kName.size()), kName)) continue;
    line.remove_prefix(kName.size());
    while (line.starts_with(' ')) line.remove_prefix(1);
    return static_cast<uint16_t>(http::parse_decimal(line.substr(0, 3)).value_or(200));
  }
  return 200;
}
}  // namespace

FastcgiConnection::FastcgiConnection(FastcgiService& service,
                                     std::shared_ptr<FastcgiService::Pool> pool,
                                     sys::Accepted accepted)
    : service_(service),
      pool_(std::move(pool)),
      fd_(std::move(accepted.fd)),
      peer_(sys::ip_bytes(accepted.peer)),
      deadline_([this] { close(); }),
      turn_([this] { drive(); }) {}

FastcgiConnection::~FastcgiConnection() {
  stream_.reset();
  if (registered_) service_.loop_.remove(fd_, this);
}

Status FastcgiConnection::start() {
  TRY_STATUS(service_.loop_.add(fd_, kEvents, this));
  registered_ = true;
  set_timer();
  return {};
}

void FastcgiConnection::close_if_idle() {
  if (in_request_ || unsent() != 0) return;
  // Its first request, or the next one, is on its way.
  if (pool_->current && (!heard_ || sys::unread_bytes(fd_) > 0)) return;
  close();
}

void FastcgiConnection::close() {
  if (closed_) return;
  closed_ = true;
  count_request(kGaveUp);
  stream_.reset();
  deadline_.cancel();
  turn_.cancel();
  if (registered_) service_.loop_.remove(fd_, this);
  registered_ = false;
  fd_.reset();
  service_.retire(this);
}

void FastcgiConnection::on_ready(uint32_t events) {
  if ((events & EPOLLOUT) != 0) writable_ = true;
  if ((events & ~uint32_t{EPOLLOUT}) != 0) readable_ = true;
  // Both directions are gone: nobody waits for an answer.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return close();
  drive();
}

// Moves bytes in every direction they can go.
void FastcgiConnection::drive() {
  bool moved = true;
  for (int i = 0; i < kRoundsPerTurn && moved && !closed_; ++i) {
    moved = feed();
    if (!closed_ && pull()) moved = true;
    if (!closed_ && flush()) moved = true;
  }
  if (closed_) return;
  if (closing_ && unsent() == 0 && !lingering_) {
    if (peer_done_) return close();
    begin_linger();
    moved = true;
  }
  set_timer();
  if (moved) turn_.arm(service_.loop_, loop::Millis(0));
}

// Closing while bytes of the peer are unread would reset the connection under our last records.
void FastcgiConnection::begin_linger() {
  lingering_ = true;
  body_ = {};
  in_at_ = input_.size();
  sys::shut_down_writing(fd_);
  deadline_.set(service_.loop_, service_.limits_.linger);
}

// ---- from the web server ---------------------------------------------------------------------

bool FastcgiConnection::wants_input() const {
  if (lingering_) return true;
  return !closing_ && body_.empty() && unsent() < kOutboxMax;
}

bool FastcgiConnection::feed() {
  bool moved = pass_body();
  while (!closed_ && wants_input() && in_at_ < input_.size()) {
    moved = true;
    if (!decode()) return moved;
  }
  if (!closed_ && wants_input() && receive()) moved = true;
  return moved;
}

bool FastcgiConnection::receive() {
  if (!readable_ || peer_done_) return false;
  input_.resize(kInputSize);
  in_at_ = 0;
  const sys::Moved moved = sys::receive(fd_, input_.data(), input_.size());
  input_.resize(moved.bytes);
  if (moved.must_wait()) {
    readable_ = false;
    return false;
  }
  if (!moved.ok()) {
    close();
    return false;
  }
  if (moved.bytes == 0) {
    take_eof();
    return false;
  }
  heard_ = true;
  if (lingering_) in_at_ = input_.size();
  return true;
}

// The peer sends no more.  One that has sent its whole request may still wait for the answer.
void FastcgiConnection::take_eof() {
  peer_done_ = true;
  if (lingering_) return close();
  if (!in_request_ && unsent() > 0)
    closing_ = true;
  else if (!in_request_ || !stdin_complete_)
    close();
}

bool FastcgiConnection::decode() {
  const auto out = decoder_.decode(std::string_view(input_).substr(in_at_));
  in_at_ += out.consumed;
  return take_event(out);
}

// False: the connection is closed.
bool FastcgiConnection::take_event(const fcgi::ServerDecoder::Output& out) {
  switch (out.event) {
    case Event::kMore:
      break;
    case Event::kBegin:
      in_request_ = true;
      stdin_complete_ = stderr_used_ = false;
      break;
    case Event::kBeginRefused:
      fcgi::append_end_request(outbox_, decoder_.refused_id(), 0,
                               fcgi::ProtocolStatus::kCantMultiplex);
      break;
    case Event::kParams:
      begin_request();
      break;
    case Event::kStdin:
      // More than CONTENT_LENGTH announced is not for this request.
      body_ = out.data.substr(0, static_cast<size_t>(std::min<uint64_t>(body_left_, SIZE_MAX)));
      body_left_ -= body_.size();
      served_.bytes_in += body_.size();
      pass_body();
      break;
    case Event::kStdinEnd:
      if (stream_ && !stdin_complete_) stream_->finish_body();
      stdin_complete_ = true;
      break;
    case Event::kAbort:
      count_request(kGaveUp);
      stream_.reset();
      body_ = {};
      finish_request(0, fcgi::ProtocolStatus::kComplete);
      break;
    case Event::kGetValues:
      answer_values();
      break;
    case Event::kUnknownType:
      fcgi::append_unknown_type(outbox_, decoder_.unknown_type());
      break;
    case Event::kError:
      close();
      return false;
  }
  return true;
}

bool FastcgiConnection::pass_body() {
  if (body_.empty()) return false;
  if (!stream_) {  // answered already, or refused
    body_ = {};
    return true;
  }
  const size_t taken = stream_->write_body(body_);
  body_.remove_prefix(taken);
  if (body_.empty() && body_left_ == 0 && !stdin_complete_) {
    stream_->finish_body();
    stdin_complete_ = true;
  }
  return taken > 0;
}

void FastcgiConnection::begin_request() {
  const auto role = static_cast<fcgi::Role>(decoder_.role());
  if (role != fcgi::Role::kResponder && role != fcgi::Role::kAuthorizer) {
    return finish_request(0, fcgi::ProtocolStatus::kUnknownRole);
  }
  params_.clear();
  body_left_ = 0;
  fcgi::PairReader pairs(decoder_.params());
  std::string_view name, value;
  while (pairs.next(name, value)) {
    params_.add(name, value);
    if (name == "CONTENT_LENGTH") body_left_ = http::parse_decimal(value).value_or(0);
  }
  AppRequest request;
  request.site = pool_->config.site;
  request.params = &params_;
  request.body_length = body_left_;
  if (role == fcgi::Role::kAuthorizer) request.flags = ring::kFlagAuthorizer;
  request.peer = peer_;
  request.read_timeout = service_.limits_.response;
  request.send_timeout = service_.limits_.response;
  request.head_max = service_.limits_.head_max;
  request.queue_max = pool_->config.queue_max;
  served_ = {.status = 200, .bytes_in = decoder_.params().size()};
  asked_ = service_.loop_.now();
  counting_ = true;
  stream_ = service_.start_app_(request, this);
  if (body_left_ == 0) {
    stream_->finish_body();
    stdin_complete_ = true;
  }
}

void FastcgiConnection::answer_values() {
  std::string answer;
  fcgi::PairReader names(decoder_.values());
  std::string_view name, value;
  const std::string count = std::to_string(std::max<uint32_t>(pool_->config.max_children, 1));
  while (names.next(name, value)) {
    if (name == "FCGI_MAX_CONNS" || name == "FCGI_MAX_REQS") fcgi::append_pair(answer, name, count);
    if (name == "FCGI_MPXS_CONNS") fcgi::append_pair(answer, name, "0");
  }
  fcgi::append_record(outbox_, fcgi::Type::kGetValuesResult, 0, answer);
}

// ---- from the worker -------------------------------------------------------------------------

void FastcgiConnection::on_app_head(std::string_view block) {
  served_.status = status_of(block);
  served_.bytes_out += block.size();
  fcgi::append_stream(outbox_, fcgi::Type::kStdout, decoder_.request_id(), block);
}

void FastcgiConnection::on_app_readable() { drive(); }
void FastcgiConnection::on_app_writable() { drive(); }

void FastcgiConnection::on_app_stderr(std::string_view text) {
  // Unlike a body, error text does not wait in the ring for a web server that reads slowly.
  if (unsent() >= kOutboxMax) return;
  stderr_used_ = true;
  fcgi::append_stream(outbox_, fcgi::Type::kStderr, decoder_.request_id(), text);
  drive();
}

void FastcgiConnection::on_app_error(AppError error, std::string_view) {
  count_request(error == AppError::kBusy ? kTooMany : kFailed);
  stream_.reset();
  body_ = {};
  if (error == AppError::kBusy) {
    finish_request(0, fcgi::ProtocolStatus::kOverloaded);
    return drive();
  }
  // As when a php-fpm child dies: the web server sees the connection end.
  closing_ = true;
  drive();
}

bool FastcgiConnection::pull() {
  if (!stream_) return false;
  bool moved = false;
  while (unsent() < kOutboxMax) {
    iovec pieces[kPiecesMax];
    const size_t count = stream_->peek(pieces, kPiecesMax);
    if (count == 0) break;
    size_t taken = 0;
    for (size_t i = 0; i < count && unsent() < kOutboxMax; ++i) {
      const std::string_view piece(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      const std::string_view part = piece.substr(0, kOutboxMax);
      fcgi::append_stream(outbox_, fcgi::Type::kStdout, decoder_.request_id(), part);
      taken += part.size();
      if (part.size() < piece.size()) break;
    }
    stream_->consume(taken);
    served_.bytes_out += taken;
    moved = true;
  }
  if (stream_->ended()) {
    end_request();
    moved = true;
  }
  return moved;
}

void FastcgiConnection::end_request() {
  const uint16_t id = decoder_.request_id();
  const uint32_t app_status = stream_->end().app_status;
  count_request(served_.status);
  stream_.reset();
  body_ = {};
  if (stderr_used_) fcgi::append_stream_end(outbox_, fcgi::Type::kStderr, id);
  fcgi::append_stream_end(outbox_, fcgi::Type::kStdout, id);
  finish_request(app_status, fcgi::ProtocolStatus::kComplete);
}

void FastcgiConnection::count_request(uint16_t status) {
  if (!std::exchange(counting_, false) || service_.counters == nullptr) return;
  served_.status = status;
  served_.took = service_.loop_.now() - asked_;
  served_.ended_s = service_.loop_.wall_seconds();
  service_.counters->count(pool_->config.site, served_);
}

void FastcgiConnection::finish_request(uint32_t app_status, fcgi::ProtocolStatus status) {
  fcgi::append_end_request(outbox_, decoder_.request_id(), app_status, status);
  decoder_.finish_request();
  in_request_ = false;
  const bool keeps = decoder_.keep_conn() == fcgi::KeepConn::kYes && !peer_done_;
  if (!keeps || service_.must_close_idle(*pool_)) closing_ = true;
}

bool FastcgiConnection::flush() {
  if (unsent() == 0 || !writable_) return false;
  const iovec piece{outbox_.data() + out_at_, unsent()};
  const sys::Moved moved = sys::send_pieces(fd_, &piece, 1, sys::More::kNo);
  if (moved.must_wait()) {
    writable_ = false;
    return false;
  }
  if (!moved.ok()) {
    close();
    return false;
  }
  out_at_ += moved.bytes;
  if (out_at_ == outbox_.size()) {
    outbox_.clear();
    out_at_ = 0;
  }
  return true;
}

void FastcgiConnection::set_timer() {
  if (lingering_) return;
  const FastcgiService::Limits& limits = service_.limits_;
  if (unsent() > 0) {
    deadline_.set(service_.loop_, limits.stalled_write);
  } else if (!heard_) {
    if (!deadline_.active()) deadline_.set(service_.loop_, limits.first_bytes);
  } else if (in_request_ && !stream_ && !closing_) {
    // Not re-armed by progress: a request must be complete but for its body by then.
    if (!params_timed_) deadline_.set(service_.loop_, limits.params);
    params_timed_ = true;
    return;
  } else {
    deadline_.clear();
  }
  params_timed_ = false;
}

}  // namespace bulkhead::front
