// Decides what a request is answered with: the ordered steps from a parsed head to a response head.
//
// Runs in: front.  Input: Exchange::request (hostile values), Plan (trusted).
// Threads: one Phases per loop.  Asynchronous: a step that must ask a site's opener suspends the
// exchange and resumes by itself.  Every entry point ends by calling exactly one of Output's
// respond(), pass_to_app() or close(), now or later; destroying the Exchange cancels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "front/app_stream.h"
#include "front/exchange.h"
#include "front/files.h"
#include "loop/event_loop.h"

namespace bulkhead::front {

// What moves the bytes (connection code).
class Output {
 public:
  virtual ~Output() = default;
  // ex.head holds the response's head; the body is described by ex.response (kNone, kPieces, or
  // kApp: pass the AppStream's body on, up to content_length when known, chunked when `chunked`).
  // HEAD and 304 have header_only set.  May be called once per request.
  virtual void respond(Exchange& ex) = 0;
  // Hand the request (ex.target, ex.params, and its body as conf().fastcgi says) to an application.
  // When ex.params_ready is false, read the body first, set ex.body_length, call
  // Phases::build_params().  Then call Phases::choose_peer(), then send to ex.target.
  // Report by Phases::on_app_head / on_app_error.  Called again after on_app_error for the next
  // peer.
  virtual void pass_to_app(Exchange& ex) = 0;
  // Forget the AppStream: its response is replaced (intercepted error, X-Accel-Redirect).
  virtual void drop_app(Exchange& ex) = 0;
  // Close the connection without a response (444); the access log line is still due.
  virtual void close(Exchange& ex) = 0;

  // One finished line (with newline) to every log of `logs` whose level admits it.  `ex` says which
  // generation of logs is meant.
  virtual void write_error_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                               config::LogLevel level, std::string_view line) = 0;
  // The same for text an application may write without end: limited in bytes per second.
  virtual void write_app_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                             config::LogLevel level, std::string_view line) = 0;
  // One finished line to an access log; `path` is set when log.file is kNone (it had variables);
  // `site` opens it.
  virtual void write_access_log(const Exchange& ex, const config::AccessLog& log, uint32_t site,
                                std::string_view path, std::string_view line) = 0;
};

class Phases {
 public:
  Phases(Ambient ambient, Files& files, Output& output);
  ~Phases();

  // Start with a complete, valid head.  ex.plan, connection, request, started are set.
  void start(Exchange& ex);
  // The head is bad or never came: answer 400, 405, 408 (closes), 413, 414, 494, 495, 501, 505 ...
  // through the server's error pages; `reason` is the log text ("client sent invalid header line"),
  // "" for none. ex.request holds whatever is known of it; ex.server may be unset.
  void reject(Exchange& ex, uint16_t status, std::string_view reason, config::LogLevel level);
  // Reading the request body failed (400 bad chunk, 408, 413 too large, 500 spool).
  void on_body_error(Exchange& ex, uint16_t status, std::string_view reason,
                     config::LogLevel level);

  // The application is about to be asked: chooses the server of an upstream.  False: none may be
  // used now, and the request has been answered.
  bool choose_peer(Exchange& ex);
  // The only site that could answer has no place left: 503.
  void on_site_full(Exchange& ex, uint32_t site, std::string_view why);
  // Fills ex.params (needs ex.body_length when the body came chunked).
  void build_params(Exchange& ex);
  // The application's CGI head.  Calls respond(), or drop_app() and goes on elsewhere.
  void on_app_head(Exchange& ex, std::string_view block);
  // Failed before a head was accepted: tries the next peer, or answers 502/504.  After respond() it
  // only logs.  `detail` is for the log ("connect() failed (111: Connection refused)").
  void on_app_error(Exchange& ex, AppError error, std::string_view detail);
  // Text on the application's stderr: one "FastCGI sent in stderr: ..." line.
  void on_app_stderr(Exchange& ex, std::string_view text);

  // The exchange is over (all sent, or the client is gone: response.status 499 set here when no
  // head was sent): writes its access log lines.
  void finish(Exchange& ex);

  // An error log line about this request, in nginx's form with client, server, request, host.
  void log_error(const Exchange& ex, config::LogLevel level, std::string_view text,
                 int errno_value = 0);

  [[nodiscard]] Ambient& ambient() { return ambient_; }

 private:
  friend class Suspension;
  struct Impl;
  void go_on(Exchange& ex, bool on);

  Ambient ambient_;
  std::unique_ptr<Impl> impl_;
  std::string line_;  // reused
};

}  // namespace bulkhead::front
