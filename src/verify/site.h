// What verify knows of a server and its sites.
//
// Runs in: bulkhead-verify (root).  Input: configuration (trusted); answers of sites (hostile).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/users.h"

namespace bulkhead::verify {

struct Site {
  std::string name;          // the pool's
  sys::Identity user;        // whose site it is
  std::string host;          // server_name
  uint16_t port = 0;         // on 127.0.0.1
  std::string root;          // web root
  bool root_is_said = true;  // false: the one that nginx has for who names none
  std::string pool_socket;   // `listen` of the pool
  std::string access_log;    // "" when it has none
  bool runs_php = true;
  std::string sandbox = "on";           // as configured; anything weaker is said aloud
  std::vector<std::string> layers_off;  // those its sandbox does without
};

enum class ServerKind : uint8_t { kBulkhead, kStock };

// A server that answers while it is attacked.
struct Server {
  ServerKind kind = ServerKind::kBulkhead;
  bool is_own = false;  // started by verify: may be reopened, reloaded and broken
  std::vector<Site> sites;
  std::string base;      // directory that holds the sites (own servers), "" otherwise
  std::string pid_file;  // of bulkhead's master, for `bulkhead exec` and signals
  std::string control;   // its control socket
  std::string config;    // a configuration file that names every site
  std::string log_dir;
  std::vector<std::string> temp_dirs;   // where bodies wait on their way
  std::vector<pid_t> masters;           // root processes of the server
  std::string key_name;                 // of a key in the session keyring the server was started in
  std::vector<std::string> layers_off;  // around whoever attacks
  std::vector<std::string> notes;       // sites that cannot be attacked, and why
};

}  // namespace bulkhead::verify
