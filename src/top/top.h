// bulkhead top: the sites of a running server, live, or as a table for scripts.
//
// Runs in: bulkhead.  Input: keys of the person, the status of our own master.
#pragma once

#include <chrono>
#include <string>

#include "top/table.h"

namespace bulkhead::top {

struct Settings {
  std::string pid_path;  // the server's
  std::chrono::milliseconds interval{2000};
  Sort sort = Sort::kRequests;
  std::string filter;
  bool batch = false;
  uint32_t tables = 0;  // batch: how many; 0: until it is ended
};

// Exit codes: 0; 3: no server runs; 4: not allowed; 64: no terminal to draw on.
int run(const Settings& settings);

}  // namespace bulkhead::top
