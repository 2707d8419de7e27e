// The first half of a connection's work: heads and bodies of requests.
//
// Runs in: front.  Input: hostile bytes.  Threads: one loop.
#include <algorithm>

#include "front/connection.h"
#include "front/server_loop.h"
#include "ring/layout.h"

namespace bulkhead::front {

using config::LogLevel;

namespace {
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
// Where a body is spooled when the configured directory does not let the site's user write.
constexpr const char* kSpoolFallback = "/tmp";
constexpr uint8_t kSpoolTriesMax = 2;
// A body of this size goes to a worker with its parameters: no file is made for it, however small
// client_body_buffer_size is, while the site uses little of what it may hold in front's memory.
constexpr size_t kKeptBody = 96 * 1024;
static_assert(kKeptBody <= ring::kRequestBytes - 32 * 1024);
}  // namespace

void Connection::begin_turn() {
  turn_ = loop_.take_turn();
  Turn& turn = *turn_;
  turn.connection = this;
  turn.generation = loop_.generation();
  ++facts_.requests;
  facts_.listen = listener_->index;
  Exchange& ex = turn.ex;
  ex.plan = turn.generation->runtime->plan;
  ex.connection = &facts_;
  ex.owner = turn_;
  ex.request = &turn.parser;
  ex.started = loop_.events().now();
  ex.started_wall_ms = loop_.events().wall_seconds() * 1000 + loop_.events().wall_millis();
  const config::Server& server = loop_.default_server(*listener_);
  turn.parser.set_options({.merge_slashes = server.merge_slashes,
                           .underscores_in_headers = server.underscores_in_headers,
                           .ignore_invalid_headers = server.ignore_invalid_headers});
  turn.window = http::HeadWindow(server.client_header_buffer_size, server.large_buffers_count,
                                 server.large_buffers_size);
  turn.head_allowed = server.client_header_buffer_size;
  // The first request's time began when the connection was accepted.
  if (facts_.requests > 1) deadline_.set(loop_.events(), server.client_header_timeout);
  loop_.shared().counters.requests.fetch_add(1, std::memory_order_relaxed);
  set_state(State::kHead);
}

Connection::Next Connection::step_head() {
  for (;;) {
    Next next = parse_head();
    if (next == Next::kGoOn) return next;
    if (!socket_.readable) return Next::kWait;
    if (socket_.input.room() == 0) {
      size_t wanted = std::max(turn_->head_allowed, socket_.input.size() + 1);
      socket_.input.reserve(loop_.blocks(), std::min(wanted, socket_.input.size() * 2 + 1));
    }
    sys::Moved moved = socket_.receive_more();
    if (moved.bytes > 0) continue;
    if (moved.must_wait()) return Next::kWait;
    if (moved.ok()) {
      abandon(LogLevel::kInfo, "client prematurely closed connection", 0);
    } else {
      abandon(LogLevel::kInfo, "recv() failed", moved.error);
    }
    return Next::kGoOn;
  }
}

// kWait: the head is incomplete and may grow.
Connection::Next Connection::parse_head() {
  Turn& turn = *turn_;
  for (;;) {
    std::string_view bytes = socket_.input.bytes();
    std::string_view seen = bytes.substr(0, turn.head_allowed);
    http::ParseStep step = turn.parser.parse(seen);
    if (step == http::ParseStep::kDone) return head_complete();
    if (step == http::ParseStep::kMore) {
      turn.head_allowed = turn.window.allow(turn.parser, seen.size());
      if (turn.head_allowed > seen.size()) {
        if (bytes.size() > seen.size()) continue;
        return Next::kWait;
      }
    }
    // The connection cannot be used further: where the next request begins is unknown.
    socket_.input.consume(socket_.input.size());
    return head_failed(static_cast<uint16_t>(http::parse_error_status(turn.parser.error())),
                       turn.parser.error_text());
  }
}

Connection::Next Connection::head_failed(uint16_t status, std::string_view reason) {
  deadline_.clear();
  set_state(State::kDeciding);
  turn_->body.describe(false, 0);
  loop_.phases().reject(turn_->ex, status, reason, LogLevel::kInfo);
  return Next::kGoOn;
}

Connection::Next Connection::head_complete() {
  Turn& turn = *turn_;
  deadline_.clear();
  socket_.input.consume(turn.parser.head_size());
  turn.body.describe(turn.parser.is_chunked(),
                     turn.parser.has_content_length() ? turn.parser.content_length() : 0);
  set_state(State::kDeciding);
  loop_.phases().start(turn.ex);
  return Next::kGoOn;
}

// ---- bodies ------------------------------------------------------------------------------------

// As nginx: whenever the body is about to be read, wanted or not.
void Connection::send_continue() {
  Turn& turn = *turn_;
  if (std::exchange(turn.continue_sent, true)) return;
  if (!turn.parser.expects_continue() || turn.parser.version() < 1001) return;
  iovec piece = {const_cast<char*>(kContinue.data()), kContinue.size()};
  // Twenty-five bytes into a connection that has sent nothing else: a full buffer means it is dead.
  sys::Moved moved = sys::send_pieces(socket_.fd, &piece, 1, sys::More::kNo);
  turn.ex.bytes_sent += moved.bytes;
  turn.ex.body_bytes_sent += moved.bytes;  // nginx counts all but the head
  if (moved.bytes != kContinue.size()) socket_.peer_closed = true;
}

namespace {
// The site that will answer, where there is no choice: of several peers one is chosen once the body
// is here.
std::optional<uint32_t> site_in_sight(const Exchange& ex) {
  if (ex.target.kind == AppTarget::Kind::kSite) return ex.target.site;
  const auto& upstreams = ex.plan->upstreams();
  if (ex.target.upstream >= upstreams.size()) return std::nullopt;
  const auto& peers = upstreams[ex.target.upstream].peers;
  return peers.size() == 1 && peers[0].is_site ? std::optional(peers[0].site) : std::nullopt;
}
}  // namespace

size_t Connection::body_memory(const config::LocConf& conf, bool stream) {
  const SiteShare* share = turn_->hold.share();
  if (stream || share == nullptr || !share->is_roomy()) return conf.client_body_buffer_size;
  return std::max(conf.client_body_buffer_size, kKeptBody);
}

void Connection::pass_to_app() {
  Turn& turn = *turn_;
  if (turn.client_gone) {
    end_connection();
    drive();
    return;
  }
  if (auto site = site_in_sight(turn.ex)) {
    if (const char* full = turn.hold.take(loop_.shares().of(*site))) {
      set_state(State::kDeciding);
      loop_.phases().on_site_full(turn.ex, *site, full);
      return;
    }
  }
  const config::LocConf& conf = turn.ex.conf();
  bool wanted = conf.fastcgi.pass_request_body;
  if (turn.body.mode() == BodyReader::Mode::kIdle && !turn.body.complete()) {
    // nginx counts a chunked body before it passes it on, whatever request_buffering says.
    bool stream = wanted && !conf.fastcgi.request_buffering && !turn.body.chunked();
    send_continue();
    turn.body.begin(stream ? BodyReader::Mode::kStream : BodyReader::Mode::kCollect,
                    body_memory(conf, stream), conf.client_max_body_size);
    if (!stream) {
      set_state(State::kCollecting);
      drive();
      return;
    }
  }
  launch_app();
  drive();
}

Connection::Next Connection::step_collecting() {
  Turn& turn = *turn_;
  // Asked each time: many clients may have begun while the site held little.
  turn.body.limit_memory(body_memory(turn.ex.conf(), false));
  const BodyReader::Step step = turn.body.pump(socket_);
  turn.hold.set_buffered(turn.body.memory().size());
  switch (step) {
    case BodyReader::Step::kDone:
      deadline_.clear();
      launch_app();
      return Next::kGoOn;
    case BodyReader::Step::kSpool:
      deadline_.clear();
      ask_for_body_spool();
      return Next::kWait;
    case BodyReader::Step::kFailed:
      return body_failed();
    case BodyReader::Step::kWait:
    case BodyReader::Step::kFull:
      deadline_.set(loop_.events(), turn.ex.conf().client_body_timeout);
      return Next::kWait;
    case BodyReader::Step::kYield:
      deadline_.set(loop_.events(), turn.ex.conf().client_body_timeout);
      yield();
      return Next::kWait;
  }
  return Next::kWait;
}

Connection::Next Connection::body_failed() {
  Turn& turn = *turn_;
  deadline_.clear();
  const BodyReader::Failure& failure = turn.body.failure();
  turn.client_gone |= failure.client_gone;
  turn.app.stop();
  set_state(State::kDeciding);
  loop_.phases().on_body_error(turn.ex, failure.status, failure.text, failure.level);
  return Next::kGoOn;
}

void Connection::ask_for_body_spool() {
  Turn& turn = *turn_;
  if (turn.spool_asked) return;
  turn.spool_asked = true;
  const std::string& configured = turn.ex.conf().client_body_temp_path;
  bool fallback = turn.spool_tries > 0 || configured.empty();
  turn.spool =
      loop_.sites().spool(loop_.spool_site(turn.ex), fallback ? kSpoolFallback : configured,
                          [this](FileResult&& result) {
                            turn_->spool_asked = false;
                            give_body_spool(std::move(result));
                          });
}

void Connection::give_body_spool(FileResult&& result) {
  Turn& turn = *turn_;
  if (result.error != 0 && ++turn.spool_tries < kSpoolTriesMax) {
    ask_for_body_spool();
    return;
  }
  if (result.error != 0) {
    turn.body.refuse_spool(result.error);
  } else {
    turn.spool_tries = 0;
    turn.body.give_spool(std::move(result.fd));
    log(LogLevel::kWarn,
        "a client request body is buffered to a temporary file " +
            loop_.spool_name(turn.ex.conf().client_body_temp_path, ServerLoop::SpoolName::kBody),
        0);
  }
  drive();
}

void Connection::launch_app() {
  Turn& turn = *turn_;
  Exchange& ex = turn.ex;
  bool streams = turn.body.mode() == BodyReader::Mode::kStream;
  if (!ex.params_ready) {
    ex.body_length =
        static_cast<int64_t>(streams ? turn.parser.content_length() : turn.body.received());
    if (!streams && turn.body.mode() == BodyReader::Mode::kCollect && turn.body.in_memory() &&
        turn.body.received() <= ex.conf().client_body_buffer_size) {
      ex.body_in_memory_known = true;
      ex.request_body = turn.body.memory();
    }
    loop_.phases().build_params(ex);
  }
  set_state(State::kDeciding);
  if (!loop_.phases().choose_peer(ex)) return;
  if (ex.target.kind == AppTarget::Kind::kSite) {
    if (const char* full = turn.hold.take(loop_.shares().of(ex.target.site))) {
      loop_.phases().on_app_error(ex, AppError::kBusy, full);
      return;
    }
  }
  set_state(State::kWaitingApp);
  turn.app.start();
}

}  // namespace bulkhead::front
