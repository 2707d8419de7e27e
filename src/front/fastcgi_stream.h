// One request to a FastCGI server, from connect() to END_REQUEST.
//
// Runs in: front.  Input: the server's records, hostile.  Threads: one event loop.
// The descriptor is registered once, edge-triggered; what the server sends is read only when
// everything read before has been consumed, so a slow client costs one buffer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "front/deadline.h"
#include "front/fastcgi_client.h"
#include "http/cgi_head.h"
#include "http/fastcgi.h"

namespace bulkhead::front {

class FastcgiStream : public AppStream, public loop::IoHandler {
 public:
  static constexpr size_t kBufferSize = 32 * 1024;  // of one read
  static constexpr size_t kOutboxMax = 64 * 1024;   // request bytes that may wait for the socket
  static constexpr size_t kReplayMax = 256 * 1024;  // kept to repeat a request on a new connection

  FastcgiStream(FastcgiClient& client, const FastcgiTarget& target, const AppRequest& request,
                AppListener* listener);
  ~FastcgiStream() override;

  size_t write_body(std::string_view bytes) override;
  void finish_body() override;
  size_t peek(iovec* pieces, size_t max) override;
  void consume(size_t bytes) override;
  bool gathers() const override { return false; }
  [[nodiscard]] bool ended() const override { return over_ && head_delivered_ && !has_pieces(); }
  [[nodiscard]] bool last_peeked() const override { return over_ && peeked_all_; }
  bool take_flush() override { return false; }
  [[nodiscard]] const AppEnd& end() const override { return end_; }

  void on_ready(uint32_t events) override;

 private:
  void encode_request(const AppRequest& request);
  void begin();
  void connect();
  bool ask_connector();
  void connected(FileResult&& result);
  void fail_connect(int errno_value);
  void register_connection();
  void close_connection();
  bool may_retry() const { return reused_ && !got_bytes_ && replayable_; }
  void retry();

  void flush();
  void pump();
  void take_input(size_t size);
  void take_stdout(std::string_view data);
  void take_eof();
  void finish(bool keepable);
  bool deliver();

  void fail(AppError error, std::string detail);
  void fail_io(std::string_view call, int errno_value);
  void on_turn();
  void on_timeout();
  void set_timer();
  [[nodiscard]] std::string_view phase() const;
  [[nodiscard]] bool has_pieces() const { return first_ < pieces_.size(); }
  [[nodiscard]] size_t unsent() const { return outbox_.size() - out_at_; }
  // Calls a listener's method; false: the stream was destroyed in it.
  template <class Call>
  bool notify(Call call);

  FastcgiClient& client_;
  std::string address_, sockaddr_, upstream_;  // what target_ points to
  FastcgiTarget target_;
  AppListener* listener_;
  loop::Millis read_timeout_, send_timeout_;
  size_t head_max_;

  FastcgiClient::Connection connection_;
  FileTicket connecting_for_us_;
  bool reused_ = false, connecting_ = false, readable_ = false, writable_ = false;
  std::string outbox_;
  size_t out_at_ = 0;
  bool replayable_ = true;  // outbox_ still holds the request from its first byte
  bool stdin_done_ = false, wants_room_ = false;

  http::fcgi::ClientDecoder decoder_;
  http::CgiHeadScanner scanner_;
  std::unique_ptr<char[]> buffer_;
  std::vector<std::string_view> pieces_;  // of buffer_
  size_t first_ = 0;
  std::string head_, stderr_;
  bool got_bytes_ = false, head_complete_ = false, head_delivered_ = false;
  bool stdout_ended_ = false, over_ = false, news_ = false, peeked_all_ = false;

  AppEnd end_;
  AppError error_ = AppError::kNone;
  std::string detail_;
  Deadline deadline_;
  loop::Timer turn_;
  bool* destroyed_ = nullptr;
};

}  // namespace bulkhead::front
