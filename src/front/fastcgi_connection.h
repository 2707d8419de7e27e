// One connection to a pool's FastCGI socket, request after request.
//
// Runs in: front.  Input: a web server's records and a worker's response, both hostile.
// Threads: one event loop.  Registered once, edge-triggered.  Back-pressure: body is taken from the
// socket only as the ring takes it, response from the ring only as the socket takes it.
#pragma once

#include <string>
#include <string_view>

#include "front/deadline.h"
#include "front/fastcgi_server.h"
#include "http/fastcgi.h"

namespace bulkhead::front {

class FastcgiConnection : public loop::IoHandler, public AppListener {
 public:
  static constexpr size_t kInputSize = 32 * 1024;
  static constexpr size_t kOutboxMax = 64 * 1024;  // answer bytes that may wait for the socket

  FastcgiConnection(FastcgiService& service, std::shared_ptr<FastcgiService::Pool> pool,
                    sys::Accepted accepted);
  ~FastcgiConnection() override;
  Status start();
  // Closes it unless a request runs; a request that runs is the last one.
  void close_if_idle();
  // Where the service keeps it.
  std::list<std::unique_ptr<FastcgiConnection>>::iterator place;
  [[nodiscard]] const FastcgiService::Pool& pool() const { return *pool_; }

  void on_ready(uint32_t events) override;
  void on_app_head(std::string_view block) override;
  void on_app_readable() override;
  void on_app_stderr(std::string_view text) override;
  void on_app_error(AppError error, std::string_view detail) override;
  void on_app_writable() override;

 private:
  using Event = http::fcgi::ServerDecoder::Event;

  void drive();
  bool feed();
  bool receive();
  bool decode();
  bool take_event(const http::fcgi::ServerDecoder::Output& out);
  bool pass_body();
  void begin_request();
  bool pull();
  void end_request();
  void finish_request(uint32_t app_status, http::fcgi::ProtocolStatus status);
  void answer_values();
  void take_eof();
  void begin_linger();
  bool flush();
  void set_timer();
  void close();
  void count_request(uint16_t status);
  [[nodiscard]] size_t unsent() const { return outbox_.size() - out_at_; }
  [[nodiscard]] bool wants_input() const;

  FastcgiService& service_;
  std::shared_ptr<FastcgiService::Pool> pool_;
  sys::Fd fd_;
  std::string peer_;  // 4 or 16 address bytes; empty for a Unix socket
  bool registered_ = false, readable_ = true, writable_ = true;
  bool peer_done_ = false;  // the peer will send no more
  bool closing_ = false;    // close once everything is sent
  bool lingering_ = false;  // everything is sent; what still comes is thrown away
  bool closed_ = false;
  bool heard_ = false;       // the peer has said something
  bool in_request_ = false;  // from BEGIN_REQUEST to END_REQUEST
  bool stdin_complete_ = false;
  bool stderr_used_ = false;
  bool params_timed_ = false;  // deadline_ counts the time a request's params may take

  std::string input_;  // received, from in_at_ on not yet decoded
  size_t in_at_ = 0;
  http::fcgi::ServerDecoder decoder_;
  std::string_view body_;   // piece of input_ the ring has not taken yet
  uint64_t body_left_ = 0;  // of CONTENT_LENGTH
  std::string outbox_;
  size_t out_at_ = 0;
  Params params_;
  std::unique_ptr<AppStream> stream_;
  ServedRequest served_;  // the request that runs, for the site's numbers
  loop::Clock::time_point asked_{};
  bool counting_ = false;  // it was handed to the site, and is not counted yet
  Deadline deadline_;
  loop::Timer turn_;
};

}  // namespace bulkhead::front
