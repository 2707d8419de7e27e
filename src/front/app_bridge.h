// Ties a request to the application that answers it: hands the body over, passes what comes back to
// phases (heads, errors, stderr) and to the response writer (body).
//
// Runs in: front.  Input: what an application says, hostile.  Threads: one loop.
#pragma once

#include <memory>
#include <string_view>

#include "front/app_stream.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

class Connection;
class ServerLoop;
struct Turn;

class AppBridge : public AppListener {
 public:
  AppBridge(ServerLoop& loop, Turn& turn) : loop_(loop), turn_(turn) {}
  ~AppBridge() override;

  // Sends the request described by the exchange (target, params) with the collected body.
  void start();
  // Hands over request body the application has room for; false when the spool file failed.
  bool feed_body();
  // Forgets the application; aborts it if it has not finished.
  void stop();
  // The response is complete: gives the application back and notes its times.
  void finish();

  [[nodiscard]] AppStream* stream() { return stream_.get(); }
  [[nodiscard]] bool running() const { return stream_ != nullptr; }
  [[nodiscard]] bool body_sent() const { return body_sent_; }

  void on_app_head(std::string_view block) override;
  void on_app_readable() override;
  void on_app_stderr(std::string_view text) override;
  void on_app_error(AppError error, std::string_view detail) override;
  void on_app_writable() override;
  bool on_app_repeat() override;

 private:
  void note_response();
  [[nodiscard]] int64_t elapsed_ms() const;

  ServerLoop& loop_;
  Turn& turn_;
  std::unique_ptr<AppStream> stream_;
  loop::Clock::time_point started_{};
  uint64_t inline_bytes_ = 0;  // of the body, sent with the params
  bool body_sent_ = false;
};

}  // namespace bulkhead::front
