// Throw-away sites and a private server for them: users, files, configuration, process.
//
// Runs in: bulkhead-verify (root).  Everything it makes is in the record first.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "verify/process.h"
#include "verify/record.h"
#include "verify/site.h"

namespace bulkhead::verify {

struct Plan {
  ServerKind kind = ServerKind::kBulkhead;
  bool as_the_article = false;  // the victim is the default site, user www-data
  int sites = 2;
  std::vector<std::string> layers_off;
  std::vector<std::string> pool_lines;  // added to every pool, for tests of weakened settings
};

// A server of verify's own, until stop() or the end.
class OwnServer {
 public:
  static Result<OwnServer> start(const Plan& plan, Record& record);
  Server server;
  void stop();
  OwnServer(OwnServer&&) = default;
  ~OwnServer() { stop(); }

 private:
  OwnServer() = default;
  std::vector<Process> processes_;
};

// The sites of a configuration that is being served: what `verify` without --new attacks.
struct Places {
  std::string nginx, fpm, config, pid, prefix;
};
Result<Server> live_server(const Places& places);

}  // namespace bulkhead::verify
