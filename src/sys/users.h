// Names of users and groups to numbers.
//
// Runs in: master.  Input: configuration (trusted), the system's user database.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace bulkhead::sys {

// Everything a process needs to become somebody.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string name, home, shell;
};

// A user by name or number; `group` by name or number, "" for the user's own group.
// Errors: `cannot get uid for user 'x'`, `cannot get gid for group 'x'` (php-fpm's words).
[[nodiscard]] Result<Identity> find_identity(const std::string& user, const std::string& group);
[[nodiscard]] std::optional<uid_t> find_uid(const std::string& name_or_number);
[[nodiscard]] std::optional<gid_t> find_gid(const std::string& name_or_number);
// The name of a uid, or its number as text.
[[nodiscard]] std::string user_name(uid_t uid);
[[nodiscard]] std::string group_name(gid_t gid);

}  // namespace bulkhead::sys
