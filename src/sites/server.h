// The running server as seen by a command: whether it runs, made to reload, asked for a page.
//
// Runs in: bulkhead-site (root).  Input: the server's status (its own JSON), a site's answer
// (hostile: one status line is read).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "master/load.h"
#include "sites/places.h"

namespace bulkhead::sites {

struct SiteStatus {
  std::string state;  // "asleep", "awake" ... as `bulkhead status` says it
  std::string kind;   // "pool", "files"
  std::string sandbox, user;
  std::string php;  // version
  std::vector<int> processes;
  size_t workers = 0, workers_busy = 0;
  uint64_t memory_bytes = 0, requests = 0;
  int64_t last_request = 0;  // seconds since 1970; 0: none yet
};
struct ServerStatus {
  int pid = 0;
  uint64_t generation = 0;
  uint64_t reloads_refused = 0;
  std::string refused_because;              // the last of them; "": nothing is known
  std::map<std::string, SiteStatus> sites;  // by pool name, "@USER" for files
};

// Reads the configuration as the server does.  Errors: the first problem with its file and line.
[[nodiscard]] Result<master::Loaded> load_all(const Places& places);

// What the errors among the messages of php-fpm's language say, one after the other.
[[nodiscard]] std::string words_of(const std::vector<config::FpmMessage>& messages);

// Where the server's pid file is.  Errors: the configuration cannot be read.
[[nodiscard]] Result<std::string> pid_path(const Places& places);
// Nothing when no server answers.
// kWhether: pid and generation, at once.  kSites: with the sites, but what they take, which takes
// time to find out.  kFigures: everything.
enum class Ask : uint8_t { kWhether, kSites, kFigures };
[[nodiscard]] std::optional<ServerStatus> ask_server(const std::string& pid_path,
                                                     Ask what = Ask::kSites);

// Has a running server take the configuration, and waits until it serves by it.  True: done; false:
// none runs.  Errors: it did not take it, and why.
[[nodiscard]] Result<bool> reload_server(const std::string& pid_path);

// The status code of `GET /` at a listen address ("0.0.0.0:80", "[::]:80", "unix:/x") for a host.
// Errors: no connection, no HTTP.  Blocks: up to 20 s.
[[nodiscard]] Result<int> probe_http(const std::string& listen, const std::string& host);

}  // namespace bulkhead::sites
