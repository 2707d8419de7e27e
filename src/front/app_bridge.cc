#include "front/app_bridge.h"

#include "front/connection.h"
#include "front/server_loop.h"
#include "front/turn.h"

namespace bulkhead::front {

AppBridge::~AppBridge() = default;

int64_t AppBridge::elapsed_ms() const {
  auto elapsed = loop_.events().now() - started_;
  return std::chrono::duration_cast<loop::Millis>(elapsed).count();
}

void AppBridge::start() {
  Exchange& ex = turn_.ex;
  const config::FastcgiConf& conf = ex.conf().fastcgi;
  BodyReader& body = turn_.body;
  bool streams = body.mode() == BodyReader::Mode::kStream;
  bool collected = body.mode() == BodyReader::Mode::kCollect && conf.pass_request_body;
  started_ = loop_.events().now();
  body_sent_ = false;
  AppRequest request;
  request.site = ex.target.site;
  request.params = &ex.params;
  request.peer = ex.target.client;
  request.read_timeout = conf.read_timeout;
  request.send_timeout = conf.send_timeout;
  request.head_max = static_cast<uint32_t>(std::min<size_t>(conf.buffer_size, 1u << 20));
  if (streams) {
    request.body_length = turn_.parser.content_length();
  } else if (collected) {
    request.body_length = body.received();
    if (body.in_memory() && body.received() <= SiteClient::inline_body_max(ex.params)) {
      request.inline_body = body.memory();
    }
  }
  inline_bytes_ = request.inline_body.size();
  if (collected || streams) body.rewind(inline_bytes_);
  if (!ex.tries.empty()) ex.tries.back().asked = true;
  stream_ = loop_.start_app(ex, request, this);
  if (collected) {
    feed_body();
  } else if (!streams) {
    stream_->finish_body();
    body_sent_ = true;
  }
}

bool AppBridge::feed_body() {
  if (body_sent_ || stream_ == nullptr) return true;
  body_sent_ = turn_.body.feed(*stream_);
  return body_sent_ || turn_.body.window_empty();
}

void AppBridge::stop() {
  stream_.reset();
  turn_.ex.peers.release();
}

void AppBridge::note_response() {
  if (turn_.ex.tries.empty()) return;
  UpstreamTry& attempt = turn_.ex.tries.back();
  attempt.response_ms = elapsed_ms();
  attempt.response_length = turn_.app_body.taken();
  attempt.bytes_received += turn_.app_body.taken();
  attempt.bytes_sent = turn_.ex.params.bytes() + turn_.body.received();
}

void AppBridge::finish() {
  if (stream_ == nullptr) return;
  note_response();
  stop();
}

void AppBridge::on_app_head(std::string_view block) {
  if (!turn_.ex.tries.empty()) {
    UpstreamTry& attempt = turn_.ex.tries.back();
    attempt.header_ms = elapsed_ms();
    if (attempt.connect_ms < 0) attempt.connect_ms = 0;
    attempt.bytes_received = block.size();
  }
  loop_.phases().on_app_head(turn_.ex, block);
}

void AppBridge::on_app_readable() { turn_.connection->app_progress(); }
void AppBridge::on_app_writable() { turn_.connection->app_progress(); }

// A body that was streamed is not kept; a collected one is.
bool AppBridge::on_app_repeat() {
  if (turn_.body.mode() != BodyReader::Mode::kCollect) return false;
  turn_.body.rewind(inline_bytes_);
  body_sent_ = false;
  return true;
}

void AppBridge::on_app_stderr(std::string_view text) {
  loop_.phases().on_app_stderr(turn_.ex, text);
}

void AppBridge::on_app_error(AppError error, std::string_view detail) {
  // `detail` belongs to the stream, which goes now.
  std::string reason(detail);
  note_response();
  bool was_sent =
      error != AppError::kConnect && error != AppError::kConnectTimeout && error != AppError::kBusy;
  // Decides whether another peer may be asked for what must not happen twice.
  if (!was_sent && !turn_.ex.tries.empty()) turn_.ex.tries.back().bytes_sent = 0;
  bool in_body = turn_.ex.response.head_sent;
  stream_.reset();
  Connection* connection = turn_.connection;
  loop_.phases().on_app_error(turn_.ex, error, reason);
  if (in_body) connection->app_broke_response();
}

}  // namespace bulkhead::front
