// Users and groups by name out of /etc/passwd and /etc/group, read once: getpwnam(3) reads the file
// for every name, which a configuration of thousands of sites cannot afford.
//
// Runs in: master, bulkhead-site, a fresh pool.  Input: root's own files.
// Threads: a copy each.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace bulkhead {

struct UserRecord {
  std::string name, home, shell;
  uid_t uid = 0;
  gid_t gid = 0;
};

// What the files say, read anew when one of them has changed (looked at once a millisecond at
// most). nullptr: not there, or the files do not come first on this machine (nsswitch.conf(5)), or
// cannot be read: ask getpwnam(3) and its relatives.  A result lasts until the next call.
[[nodiscard]] const UserRecord* user_of_files(const std::string& name);
[[nodiscard]] const UserRecord* user_of_files(uid_t uid);
[[nodiscard]] const gid_t* group_of_files(const std::string& name);
// The groups that name the user as a member, in the file's order.  nullptr: as above, and where
// anything but the files may name members.
[[nodiscard]] const std::vector<gid_t>* groups_of_files(const std::string& user);

// The same of a directory of files, for tests: passwd, group, nsswitch.conf.
void read_accounts_from(const std::string& directory);

}  // namespace bulkhead
