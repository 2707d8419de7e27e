// The second half of a connection's work: answers on their way out.
//
// Runs in: front.  Input: bodies from files and applications, passed on unread.  Threads: one loop.
#include <sys/socket.h>

#include "config/nginx_values.h"
#include "front/connection.h"
#include "front/server_loop.h"
#include "front/variables.h"

namespace bulkhead::front {

using config::LogLevel;

namespace {

constexpr int kWindowsPerTurn = 16;  // of a request body on its way to an application

// limit_rate and sendfile_max_chunk as they apply to this response.
ResponseWriter::Pace pace_of(Exchange& ex) {
  const config::LocConf& conf = ex.conf();
  auto size_of = [&ex](const std::optional<config::Template>& text) -> uint64_t {
    return text ? config::parse_size(evaluate(ex, *text)).value_or(0) : 0;
  };
  ResponseWriter::Pace pace;
  pace.bytes_per_turn = conf.sendfile_max_chunk;
  pace.rate = ex.limit_rate ? *ex.limit_rate : size_of(conf.limit_rate);
  if (pace.rate != 0) pace.rate_after = size_of(conf.limit_rate_after);
  return pace;
}

}  // namespace

void Connection::respond() {
  Turn& turn = *turn_;
  Exchange& ex = turn.ex;
  if (turn.client_gone) {
    end_connection();
    drive();
    return;
  }
  // A head alone needs nothing more from the application.
  bool needs_app = ex.response.body == BodyKind::kApp && ex.method != http::Method::kHead;
  if (!needs_app) turn.app.stop();
  account_ = loop_.spool_site(ex);
  bool was_failed = turn.body.failed();
  discard_body();
  if (turn.body.failed() && !was_failed && !turn.body.failure().client_gone) {
    // The framing is broken: whatever was decided, the answer is 400, and nothing after it counts.
    ex.response.head_sent = false;
    body_failed();
    drive();
    return;
  }
  const config::LocConf& conf = ex.conf();
  BodySource* source = nullptr;
  if (ex.response.body == BodyKind::kPieces && !ex.response.header_only) {
    turn.pieces.start(ex.response);
    source = &turn.pieces;
  } else if (needs_app) {
    const config::FastcgiConf& app = conf.fastcgi;
    AppBody::Limits limits;
    limits.buffering = app.buffering && ex.accel_buffering;
    limits.hold_bytes = app.buffers_size;
    limits.memory_max = app.buffers_count * app.buffers_size;
    limits.file_max = app.max_temp_file_size;
    limits.length = ex.response.header_only ? 0 : ex.response.content_length;
    turn.app_body.start(turn.app.stream(), limits);
    source = &turn.app_body;
  }
  turn.writer.start(ex, source, pace_of(ex));
  set_state(State::kResponding);
  drive();
}

void Connection::close_without_response() {
  end_connection();
  drive();
}

// A body nobody asked for is read and thrown away, so that the next request can be found.
void Connection::discard_body() {
  Turn& turn = *turn_;
  if (turn.body.complete() || turn.body.failed()) {
    if (turn.body.failed()) turn.ex.keepalive = false;
    return;
  }
  // The application that answers still reads it.
  if (turn.body.mode() == BodyReader::Mode::kStream && turn.app.running()) return;
  // Too large a body is refused before it is sent.
  if (turn.body.mode() == BodyReader::Mode::kIdle && turn.ex.response.status != 413) {
    send_continue();
  }
  turn.body.begin(BodyReader::Mode::kDiscard, 0, 0);
  if (turn.body.pump(socket_) == BodyReader::Step::kFailed) turn.ex.keepalive = false;
}

// Hands request body on to the application; false: reading it failed.
bool Connection::feed_app() {
  Turn& turn = *turn_;
  if (turn.app.body_sent()) return true;
  if (turn.body.mode() != BodyReader::Mode::kStream) {
    turn.app.feed_body();
    return !turn.body.failed();
  }
  for (int windows = 1;; ++windows) {
    BodyReader::Step step = turn.body.pump(socket_);
    if (step == BodyReader::Step::kFailed) return false;
    bool window_empty = turn.app.feed_body();
    const bool has_more = step == BodyReader::Step::kFull && window_empty;
    if (has_more && windows < kWindowsPerTurn) continue;
    if (has_more || step == BodyReader::Step::kYield) yield();
    if (state_ != State::kWaitingApp) return true;  // the deadline is for sending
    if (step == BodyReader::Step::kWait) {
      deadline_.set(loop_.events(), turn.ex.conf().client_body_timeout);
    } else {
      deadline_.clear();
    }
    return true;
  }
}

Connection::Next Connection::step_waiting_app() {
  if (!turn_->app.running()) return Next::kWait;
  if (!feed_app()) return body_failed();
  client_left();
  return Next::kWait;
}

// Ends the request when its client went away while the application was at work.
bool Connection::client_left() {
  Turn& turn = *turn_;
  if (!socket_.peer_closed || !turn.app.running()) return false;
  if (turn.ex.conf().fastcgi.ignore_client_abort || !turn.body.complete()) return false;
  const char* doing = " while reading response header from upstream";
  if (turn.ex.response.head_sent) doing = " while reading upstream";
  if (!turn.app.body_sent()) doing = " while sending request to upstream";
  std::string text =
      "epoll_wait() reported that client prematurely closed connection, so upstream connection is "
      "closed too";
  if (int error = sys::pending_error(socket_.fd); error != 0) {
    text = Error{std::move(text), error}.describe();
  }
  log(LogLevel::kInfo, text + doing, 0);
  turn.app.stop();
  turn.ex.keepalive = false;
  if (turn.ex.bytes_sent == 0) turn.ex.response.status = 499;
  end_connection();
  return true;
}

void Connection::app_broke_response() {
  if (turn_ == nullptr) return;
  turn_->app_body.detach();
  turn_->ex.keepalive = false;
  drive();
}

Connection::Next Connection::step_responding() {
  Turn& turn = *turn_;
  // An application may answer while it still reads.
  if (turn.app.running() && !feed_app()) {
    log(turn.body.failure().level, turn.body.failure().text, 0);
    turn.app.stop();
    end_connection();
    return Next::kWait;
  }
  using Outcome = ResponseWriter::Outcome;
  Outcome outcome = turn.writer.pump(socket_, loop_.events().now());
  const config::LocConf& conf = turn.ex.conf();
  paused_ = outcome == Outcome::kPaused;
  switch (outcome) {
    case Outcome::kDone:
      return response_done();
    case Outcome::kBlocked:
      deadline_.set(loop_.events(), conf.send_timeout);
      absorb();
      turn.hold.set_buffered(turn.body.memory().size() + turn.app_body.in_memory());
      if (turn.app_body.wants_spool()) ask_for_response_spool();
      if (int error = turn.app_body.take_spool_error(); error != 0) {
        log(LogLevel::kCrit, Error{"pwrite() of an upstream response failed", error}.describe(), 0);
      }
      if (turn.app_body.drained()) {
        turn.app_body.detach();
        turn.app.finish();
      }
      if (turn.app.running()) client_left();
      return Next::kWait;
    case Outcome::kStarved:
      deadline_.clear();
      client_left();
      return Next::kWait;
    case Outcome::kYield:
      deadline_.clear();
      yield();
      return Next::kWait;
    case Outcome::kPaused:
      deadline_.set(loop_.events(), turn.writer.pause());
      return Next::kWait;
    case Outcome::kBroken:
      note_app_body_verdict();
      if (turn.ex.response.body != BodyKind::kApp) {
        log(LogLevel::kAlert,
            "sendfile() reported that a file was truncated while sending response "
            "to client",
            0);
      }
      end_connection();
      return Next::kWait;
    case Outcome::kFailed:
      log(LogLevel::kInfo,
          Error{std::string(turn.writer.call()) + "() failed", turn.writer.error()}.describe() +
              (turn.app.running() ? " while sending to client"
                                  : " while sending response to client"),
          0);
      turn.app.stop();
      if (turn.ex.bytes_sent == 0) turn.ex.response.status = 499;
      end_connection();
      return Next::kWait;
  }
  return Next::kWait;
}

void Connection::note_app_body_verdict() {
  Turn& turn = *turn_;
  if (turn.ex.response.body != BodyKind::kApp) return;
  switch (turn.app_body.verdict()) {
    case AppBody::Verdict::kFine:
      break;
    case AppBody::Verdict::kTooLong:
      log(LogLevel::kWarn,
          "upstream sent more data than specified in \"Content-Length\" header while reading "
          "upstream",
          0);
      break;
    case AppBody::Verdict::kTooShort:
      log(LogLevel::kError, "upstream prematurely closed FastCGI request while reading upstream",
          0);
      break;
  }
}

// At the pace of the site that answers, whoever of its clients is slow.
void Connection::absorb() {
  Turn& turn = *turn_;
  SpoolPace& pace = loop_.spool_pace();
  const uint32_t site = loop_.spool_site(turn.ex);
  const uint64_t taken = turn.app_body.absorb(pace.allowance(site));
  pace.spend(site, taken);
  if (!turn.app_body.cut_short() || std::exchange(turn.absorb_waits, true)) return;
  pace.wait(site, [this, serial = serial()] {
    if (facts_.serial != serial || turn_ == nullptr) return;
    turn_->absorb_waits = false;
    drive();
  });
}

void Connection::ask_for_response_spool() {
  Turn& turn = *turn_;
  if (turn.spool_asked) return;
  turn.spool_asked = true;
  const std::string& configured = turn.ex.conf().fastcgi.temp_path;
  bool fallback = turn.spool_tries > 0 || configured.empty();
  turn.spool = loop_.sites().spool(loop_.spool_site(turn.ex), fallback ? "/tmp" : configured,
                                   [this](FileResult&& result) {
                                     Turn& turn = *turn_;
                                     turn.spool_asked = false;
                                     if (result.error != 0 && ++turn.spool_tries < 2) {
                                       ask_for_response_spool();
                                       return;
                                     }
                                     if (result.error == 0) {
                                       log(LogLevel::kWarn,
                                           "an upstream response is buffered to a temporary file " +
                                               loop_.spool_name(turn.ex.conf().fastcgi.temp_path,
                                                                ServerLoop::SpoolName::kResponse) +
                                               " while reading upstream",
                                           0);
                                     }
                                     turn.app_body.give_spool(std::move(result.fd));
                                     drive();
                                   });
}

Connection::Next Connection::response_done() {
  Turn& turn = *turn_;
  deadline_.clear();
  turn.ex.completed = true;
  note_app_body_verdict();
  turn.app.finish();
  turn.writer.reset();
  finish_turn();
  const config::LocConf& conf = turn.ex.conf();
  if (!turn.ex.keepalive || loop_.quitting()) {
    linger_or_close();
    return Next::kGoOn;
  }
  if (conf.tcp_nodelay && !socket_.no_delay && !socket_.is_unix) {
    sys::set_no_delay(socket_.fd, true);
    socket_.no_delay = true;
  }
  if (!turn.body.complete()) {
    turn.body.begin(BodyReader::Mode::kDiscard, 0, 0);
    linger_until_ = loop_.events().now() + conf.lingering_time;
    set_state(State::kDraining);
    return Next::kGoOn;
  }
  deadline_.set(loop_.events(), conf.keepalive_timeout);
  release_turn();
  become_idle();
  return Next::kGoOn;
}

}  // namespace bulkhead::front
