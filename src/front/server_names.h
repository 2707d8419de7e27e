// Which server block answers for a host name, per listening socket.
//
// Runs in: front.  Input: host names from requests (hostile, already validated and lower case).
// Threads: immutable after build.  Cost: a few hash look-ups, however many names there are.
// Ref: nginx "Server names": exact, longest "*.x", longest "x.*", first regular expression.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model.h"

namespace bulkhead::front {

struct ServerMatch {
  uint32_t server = 0;
  const config::ServerName* regex = nullptr;  // set when a regular expression decided
};

class ServerNames {
 public:
  // Names of the servers of one socket.  `model` outlives this.
  ServerNames(const config::Model& model, const config::Listen& listen);
  ServerNames(ServerNames&&) = default;

  // `captures` gets the groups when a regular expression matched.
  [[nodiscard]] ServerMatch find(std::string_view host, config::Captures* captures) const;
  [[nodiscard]] uint32_t default_server() const { return default_server_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  using Map = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;
  struct Pattern {
    const config::ServerName* name;
    uint32_t server;
  };
  void add(const config::ServerName& name, uint32_t server);

  Map exact_, leading_, trailing_;  // "*.a.b" is kept as "a.b"; "a.b.*" as "a.b"
  std::vector<Pattern> patterns_;
  uint32_t default_server_ = 0;
  bool only_default_ = false;  // one server and nothing to match: no look-up at all
};

}  // namespace bulkhead::front
