// Paths that a configuration names for a site.
//
// Runs in: master.  Input: the model and a pool's settings (trusted).  Pure.
#pragma once

#include <string>
#include <vector>

#include "config/model.h"
#include "config/pool_config.h"
#include "config/snapshot.h"
#include "sandbox/site_policy.h"
#include "sys/users.h"

namespace bulkhead::master {

// The directories that a value with variables may begin with: "/srv/$host" -> "/srv"; a variable of
// `set` or `map` stands for each value it is given as a constant.  Empty: nothing is known.
[[nodiscard]] std::vector<std::string> constant_directories(const config::Template& value,
                                                            const config::Server& server,
                                                            const config::Model& model);

// Trees per site (index into snapshot.sites): of the server blocks it opens files for, and of the
// locations that pass to its pool.
[[nodiscard]] std::vector<std::vector<sandbox::Tree>> server_trees(const config::Model& model,
                                                                   const config::Snapshot& snap);

// What the pool itself names, and its user's home.
[[nodiscard]] std::vector<sandbox::Tree> pool_trees(const config::PoolConfig& pool,
                                                    const sys::Identity& who);

}  // namespace bulkhead::master
