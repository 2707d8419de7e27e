// Where a site's private directories lie: STATE/sites/POOL/{tmp,var-tmp,shm,sessions,uploads,
// opcache}.  STATE and POOL belong to root, so that no site can put a link in the way; what is
// inside a leaf is the site's.
//
// Runs in: master (the root of it), a fresh pool while it is still root (the site's part).
// Input: names from the configuration (trusted); contents of leaves (hostile, never followed).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/users.h"

namespace bulkhead::sandbox {

constexpr const char* kStateDirs[] = {"tmp", "var-tmp", "shm", "sessions", "uploads", "opcache"};
constexpr std::string_view kDefaultState = "/var/lib/bulkhead";

// Makes STATE (mode 0711) and STATE/sites.  Errors: it cannot be made, or somebody else could
// change it (owner, mode): the message says what to do.
Status prepare_state_root(const std::string& state);

// STATE/sites/POOL; characters that a file name cannot hold are written as %XX.
[[nodiscard]] std::string site_state(const std::string& state, std::string_view pool);

// Makes the site's part.  Leaves that belong to another user (the pool's user was changed) go over
// to the new one with what that user owned in them; no link is followed.
Status prepare_site_state(const std::string& site_state, const sys::Identity& who);

}  // namespace bulkhead::sandbox
