// The steps of a request, and what they share.  Internal to phases.
//
// Runs in: front.  Input: request values (hostile), Plan (trusted).
// Threads: one Steps per loop.  A step that returns kWait runs again from its start later.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "front/exchange.h"
#include "front/peers.h"
#include "front/phases.h"
#include "front/plan.h"
#include "front/rewrite.h"
#include "front/suspension.h"
#include "http/cgi_head.h"

namespace bulkhead::front {

enum class Next : uint8_t {
  kOn,    // the step at ex.waiting->step is next
  kWait,  // an answer about a file is awaited
  kOver,  // Output has the request
};

class Steps : public RewriteHost {
 public:
  Steps(Ambient& ambient, Files& files, Output& output);

  // Runs steps from ex.waiting->step until one waits or the response is decided.
  void run(Exchange& ex);
  // Chooses the server and prepares everything the steps read.
  enum class Head : uint8_t { kValid, kRejected };
  void prepare(Exchange& ex, Phases& phases, Head head);

  // ---- the steps, in order (steps.cc has the list) --------------------------------------------
  Next server_rewrite(Exchange& ex);
  Next find_location(Exchange& ex);
  Next learn_realpath(Exchange& ex);
  Next location_rewrite(Exchange& ex);
  Next after_rewrite(Exchange& ex);
  Next access(Exchange& ex);
  Next try_files(Exchange& ex);
  Next content(Exchange& ex);

  // ---- ways to answer --------------------------------------------------------------------------
  // The response is complete in ex.response: filters it, writes the head, hands it to Output.
  Next respond(Exchange& ex);
  // Answers with an error or redirect status, through error_page.
  Next fail(Exchange& ex, uint16_t status);
  // A short text; an empty `type` means by extension.
  Next answer_text(Exchange& ex, uint16_t status, std::string_view type, std::string_view text);
  Next internal_redirect(Exchange& ex, std::string_view uri, std::string_view args);
  Next named_location(Exchange& ex, std::string_view name);

  // ---- applications ----------------------------------------------------------------------------
  Next start_app(Exchange& ex);
  Next app_head(Exchange& ex, std::string_view block);
  Next app_error(Exchange& ex, AppError error, std::string_view detail);
  Next site_full(Exchange& ex, uint32_t site, std::string_view why);
  [[nodiscard]] bool may_tell_refusal(uint32_t site) const;
  void build_params(Exchange& ex);
  // Chooses the server that is asked (next).  kNone: the request must fail with 502.
  enum class Peer : uint8_t { kChosen, kNone };
  Peer choose_peer(Exchange& ex);

  // ---- logs ------------------------------------------------------------------------------------
  void log(Exchange& ex, config::LogLevel level, std::string_view text, int errno_value) override;
  void log_app(Exchange& ex, std::string_view text);  // what an application says, limited
  void write_access_logs(Exchange& ex);

  // RewriteHost
  FileRef test_file(Exchange& ex, std::string_view path) override;
  void enter_if(Exchange& ex, const LocationPlan& plan) override;

 private:
  using LogFunction = void (Output::*)(const Exchange&, const config::List<config::ErrorLog>&,
                                       config::LogLevel, std::string_view);
  void write_line(Exchange& ex, config::LogLevel level, std::string_view text, int errno_value,
                  LogFunction write);
  // content
  Next static_file(Exchange& ex);
  Next send_file(Exchange& ex, FileRef file);
  Next redirect_to_directory(Exchange& ex);
  Next index_file(Exchange& ex);
  Next index_error(Exchange& ex, std::string_view path, int error);
  Next test_directory(Exchange& ex, std::string_view path, std::string_view index);
  Next autoindex(Exchange& ex);
  Next send_listing(Exchange& ex, const FileRef& listing, std::string_view path);
  Next stub_status(Exchange& ex);
  Next empty_gif(Exchange& ex);
  Next metrics(Exchange& ex);
  Next try_final(Exchange& ex, const config::TryFiles& conf);
  // routing
  void enter_location(Exchange& ex, const LocationPlan& plan);
  void limit_keepalive(Exchange& ex);
  Next rewritten(Exchange& ex, const RewriteEnd& end);
  // Makes $realpath_root known where something here reads it.
  bool resolve_root(Exchange& ex);
  // errors
  Next send_error_page(Exchange& ex, const config::ErrorPage& page, uint16_t status);
  Next builtin_page(Exchange& ex, uint16_t status);
  void drop_body(Exchange& ex);
  // applications
  bool resolve_target(Exchange& ex, std::string_view address);
  bool may_retry(const Exchange& ex, uint32_t reason, bool sent) const;
  void end_try(Exchange& ex, PeerChoice::Outcome outcome, std::string_view action);
  bool intercepts(Exchange& ex, uint16_t status) const;
  void copy_app_headers(Exchange& ex);
  void set_app_content_type(Exchange& ex, std::string_view value);
  void read_accel_headers(Exchange& ex);
  Next accel_redirect(Exchange& ex, std::string_view target);
  // Asks for a file; null: wait.
  FileRef ask(Exchange& ex, std::string_view path);
  FileQuery query(Exchange& ex, std::string_view path);

  Ambient& ambient_;
  Files& files_;
  Output& output_;
  http::TimeCache times_;
  http::CgiHead cgi_;
  PeerStates peers_;
  std::string line_;  // reused
  // $realpath_root by root and site: a switched link is seen within kRealpathValid.
  struct Realpath {
    std::string path;
    loop::Clock::time_point until;
  };
  static constexpr size_t kRealpathsMax = 1024;
  static constexpr std::chrono::milliseconds kRealpathValid{1000};
  std::unordered_map<std::string, Realpath> realpaths_;
};

}  // namespace bulkhead::front
