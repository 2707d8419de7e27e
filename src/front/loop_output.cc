// What phases ask of a loop: to answer, to pass on, to log.
//
// Runs in: front.  Input: decisions and finished lines.  Threads: the loop's own.
#include <cstring>

#include "front/server_loop.h"

namespace bulkhead::front {
namespace {

Turn& turn_of(Exchange& ex) { return *static_cast<Turn*>(ex.owner); }
// As nginx: what is longer is cut, so that one write of a line is atomic in practice.
constexpr size_t kErrorLineMax = 2048;

// The line, or its beginning with a line end, kept in `scratch`.
std::string_view bounded(std::string_view line, char (&scratch)[kErrorLineMax]) {
  if (line.size() <= kErrorLineMax) return line;
  std::memcpy(scratch, line.data(), kErrorLineMax - 1);
  scratch[kErrorLineMax - 1] = '\n';
  return {scratch, kErrorLineMax};
}

LogBook& logs_of(const Exchange& ex) { return static_cast<Turn*>(ex.owner)->generation->logs; }

}  // namespace

void ServerLoop::respond(Exchange& ex) { turn_of(ex).connection->respond(); }
void ServerLoop::pass_to_app(Exchange& ex) { turn_of(ex).connection->pass_to_app(); }
void ServerLoop::drop_app(Exchange& ex) {
  turn_of(ex).app.stop();
  turn_of(ex).body.abandon_stream();
}
void ServerLoop::close(Exchange& ex) { turn_of(ex).connection->close_without_response(); }

void ServerLoop::write_error_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                                 config::LogLevel level, std::string_view line) {
  char scratch[kErrorLineMax];
  logs_of(ex).error(logs, level, bounded(line, scratch));
}

void ServerLoop::write_app_log(const Exchange& ex, const config::List<config::ErrorLog>& logs,
                               config::LogLevel level, std::string_view line) {
  char scratch[kErrorLineMax];
  line = bounded(line, scratch);
  // A pool of ours by its number; another FastCGI server by its upstream.
  constexpr uint64_t kForeign = uint64_t{1} << 32;
  const bool is_site = ex.target.kind == AppTarget::Kind::kSite;
  const uint64_t who = is_site ? ex.target.site : kForeign | ex.target.upstream;
  auto place = [&] {
    return LogShares::Place{ex.plan->snapshot().generation, logs, std::string(ex.target.address)};
  };
  if (log_shares_->take(who, line.size(), place)) logs_of(ex).error(logs, level, line);
}

void ServerLoop::report_suppressed(const LogShares::Place& place, uint64_t lines) {
  constexpr auto kLevel = config::LogLevel::kError;  // as what is missing
  std::string text = std::to_string(lines) + " lines that FastCGI sent in stderr are suppressed: " +
                     "too much text from \"" + place.address + "\"";
  if (current_ == nullptr || current_->runtime->generation != place.generation) {
    log_main(kLevel, text);
  } else if (LogBook::wants(place.targets, kLevel)) {
    current_->logs.error(place.targets, kLevel, line_head(kLevel).append(text).append("\n"));
  }
}

void ServerLoop::write_access_log(const Exchange& ex, const config::AccessLog& log, uint32_t site,
                                  std::string_view path, std::string_view line) {
  if (log.file == config::kNone) {
    path_logs_->write(site, path, line);
  } else {
    logs_of(ex).access(log, line);
  }
}

}  // namespace bulkhead::front
