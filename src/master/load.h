// From files to one checked configuration: both languages read, validated and paired.
//
// Runs in: master, and bulkhead for -t.  Input: configuration files (trusted).
// Blocks: reads files, looks names up.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "config/pool_config.h"
#include "config/snapshot.h"
#include "master/options.h"
#include "sandbox/site_policy.h"
#include "sys/users.h"

namespace bulkhead::master {

// Segments of all loops must fit one message of descriptors: five and three per loop.
constexpr uint32_t kLoopsMax = 19;

struct Loaded {
  config::Snapshot snapshot;  // site ids are 1, 2, ... until made stable (plan.h)
  std::unique_ptr<config::Model> model;
  std::optional<config::FpmConfig> fpm;
  std::vector<config::ConfigError> warnings;
  std::vector<std::string> pool_addresses;  // sockaddr of the i-th FastCGI listening socket
  std::vector<size_t> pool_of_listener;     // ... and whose it is (index into fpm->pools)

  std::unordered_map<std::string, size_t> pool_by_name;  // index into fpm->pools

  // In order of snapshot.sites: who they are (as root only; else empty) and what they may see.
  std::vector<sys::Identity> identities;
  std::vector<sandbox::SitePolicy> policies;

  // The pool behind a site; nullptr for a file-only one.
  [[nodiscard]] const config::PoolConfig* pool_of(const config::Site& site) const;
};

// Why it cannot be used, in the words of the language that was wrong.
struct LoadError {
  std::optional<config::ConfigError> nginx;
  std::vector<config::FpmMessage> fpm;
};

[[nodiscard]] std::expected<Loaded, LoadError> load(const Options& options);
// Lets go of what only loading needs, once nothing is to be checked any more: texts of files, the
// tree (its byte form stays, for front), locations, upstreams and maps.
void keep_what_serving_needs(Loaded* loaded);
// The nginx half alone, as `nginx -t -T` needs it.
[[nodiscard]] config::BuildOptions build_options(const Options& options);
// Where php-fpm.conf is when nobody says: /etc/php/VERSION/fpm/php-fpm.conf.
[[nodiscard]] std::string default_fpm_conf();

}  // namespace bulkhead::master
