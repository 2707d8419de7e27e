// One event loop of front with everything that serves on it: listeners, connections, sites, files,
// logs and phases.
//
// Runs in: front, one per thread.  Input: hostile bytes pass through; itself it handles none.
// Threads: everything belongs to the loop's thread; other threads reach it by events().post().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "front/connection.h"
#include "front/fastcgi_client.h"
#include "front/fastcgi_server.h"
#include "front/file_cache.h"
#include "front/input_buffer.h"
#include "front/listener.h"
#include "front/log_shares.h"
#include "front/metrics_desk.h"
#include "front/path_logs.h"
#include "front/phases.h"
#include "front/runtime.h"
#include "front/site_client.h"
#include "front/site_shares.h"
#include "front/spool_pace.h"
#include "front/turn.h"
#include "front/turn_order.h"
#include "http/date.h"
#include "loop/event_loop.h"
#include "sys/shared_memory.h"

namespace bulkhead::front {

// What all loops share.  Threads: any.
struct FrontShared {
  ServerCounters counters;
  std::atomic<uint64_t> next_serial{1};
  std::atomic<uint64_t> next_spool{1};
  uint32_t pid = 0;
  uint32_t loops = 1;
  std::string hostname;
  SiteShares shares;
  sys::Mapping site_blocks;  // ipc/site_block.h; empty: nothing is counted
};

class ServerLoop : public Output {
 public:
  // Called on the loop's thread.
  struct Hooks {
    std::function<void(uint32_t site)> wake;
    std::function<void(uint32_t site, std::string_view why)> refused;
    // No request of an older generation than this one is left; after quit(): none at all.
    std::function<void(uint64_t generation)> settled;
    // Somebody asks for the metrics: they are wanted at metrics().
    std::function<void()> metrics;
  };
  static Result<std::unique_ptr<ServerLoop>> create(FrontShared& shared, Hooks hooks);
  ~ServerLoop() override;

  // ---- from control, on this loop's thread ----
  // Serves by `runtime` from the next request on.
  void activate(std::shared_ptr<const Runtime> runtime, std::shared_ptr<const LogSet> logs);
  // Reopened logs of the active generation.
  void set_logs(std::shared_ptr<const LogSet> logs);
  // Stops accepting, closes idle connections; Hooks::settled says when nothing is left.
  void quit();
  [[nodiscard]] bool quitting() const { return quitting_; }
  [[nodiscard]] bool settled() const;

  // ---- for connections ----
  [[nodiscard]] loop::EventLoop& events() { return *events_; }
  [[nodiscard]] Phases& phases() { return *phases_; }
  [[nodiscard]] SiteClient& sites() { return *sites_; }
  [[nodiscard]] BlockPool& blocks() { return blocks_; }
  [[nodiscard]] FrontShared& shared() { return shared_; }
  [[nodiscard]] LoopShares& shares() { return shares_; }
  [[nodiscard]] MetricsDesk& metrics() { return *metrics_; }
  [[nodiscard]] const std::shared_ptr<LoopGeneration>& generation() const { return current_; }
  [[nodiscard]] const config::Server& default_server(const Listener& listener) const;
  // Whose opener makes spool files for this request.
  [[nodiscard]] uint32_t spool_site(const Exchange& ex) const;
  // The name nginx's log line would give a temporary file in `directory`.
  enum class SpoolName : uint8_t { kBody, kResponse };
  [[nodiscard]] std::string spool_name(const std::string& directory, SpoolName kind);
  // Sends the request to ex.target; refusals come through `listener`.
  [[nodiscard]] std::unique_ptr<AppStream> start_app(const Exchange& ex, const AppRequest& request,
                                                     AppListener* listener);
  // Calls go_on() in the next iteration, if the connection still exists.
  void continue_soon(Connection& connection);
  // Calls take_place() at the end of this iteration, one site's connections not before another's.
  void line_up(Connection& connection);
  // How fast replies are copied aside for clients that do not read.
  [[nodiscard]] SpoolPace& spool_pace() { return *spool_pace_; }
  [[nodiscard]] Turn* take_turn();
  void give_turn(Turn* turn);
  // The connection is closed: puts it away at the end of this iteration.
  void retire(Connection& connection);
  void note_idle(Connection& connection);
  void note_busy(Connection& connection);
  // An error line about a connection without a request.
  void log_connection(const ConnectionFacts& facts, const Listener& listener,
                      config::LogLevel level, std::string_view text, int errno_value);
  // A line of the loop itself, to the main error logs.
  void log_main(config::LogLevel level, std::string_view text);
  [[nodiscard]] std::string_view error_log_time();

  // ---- Output ----
  void respond(Exchange& ex) override;
  void pass_to_app(Exchange& ex) override;
  void drop_app(Exchange& ex) override;
  void close(Exchange& ex) override;
  void write_error_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                       config::LogLevel level, std::string_view line) override;
  void write_app_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                     config::LogLevel level, std::string_view line) override;
  void write_access_log(const Exchange& ex, const config::AccessLog& log, uint32_t site,
                        std::string_view path, std::string_view line) override;

 private:
  ServerLoop(FrontShared& shared, Hooks hooks);
  void on_accept(Listener& listener, sys::Accepted accepted);
  void accept_failed(Listener& listener, int error);
  [[nodiscard]] bool make_room();
  void update_listeners(const Runtime& runtime);
  void update_pools(const Runtime& runtime);
  void check_settled();
  void serve_line();
  Connection* take_connection();
  [[nodiscard]] std::string line_head(config::LogLevel level);
  void report_suppressed(const LogShares::Place& place, uint64_t lines);

  FrontShared& shared_;
  LoopShares shares_;
  Hooks hooks_;
  std::unique_ptr<loop::EventLoop> events_;
  std::unique_ptr<SiteClient> sites_;
  std::unique_ptr<FileCache> files_;
  std::unique_ptr<FastcgiClient> fastcgi_;
  std::unique_ptr<FastcgiService> pools_;
  std::unique_ptr<PathLogs> path_logs_;
  std::unique_ptr<LogShares> log_shares_;
  std::unique_ptr<SpoolPace> spool_pace_;
  std::vector<Place> line_, served_;  // ready in this iteration; and being served
  std::unique_ptr<MetricsDesk> metrics_;
  std::unique_ptr<Phases> phases_;
  BlockPool blocks_;
  std::shared_ptr<LoopGeneration> current_;
  std::vector<std::weak_ptr<LoopGeneration>> older_;
  std::unordered_map<std::string, std::shared_ptr<Listener>> listeners_;  // by text
  std::vector<std::unique_ptr<Connection>> connections_;  // all that were ever needed at once
  std::vector<Connection*> free_connections_;
  std::vector<std::unique_ptr<Turn>> turns_;
  std::vector<Turn*> free_turns_;
  Connection* idle_first_ = nullptr;
  Connection* idle_last_ = nullptr;
  size_t open_ = 0, idle_ = 0;
  bool quitting_ = false;
  http::TimeCache time_;
};

}  // namespace bulkhead::front
