// The steps there are.  Each maker looks at the machine as it is now, so that the step knows what
// undoing it must put back.
//
// Runs in: bulkhead-site (root).
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sites/places.h"
#include "sites/step.h"

namespace bulkhead::sites {

// Every kind, for the journal.
[[nodiscard]] std::span<const StepKind> step_kinds();

// Files and directories of root's own.  A file that is there keeps its owner, mode and ACL: they
// are the administrator's.
struct FileLook {
  unsigned mode = 0644;
  std::string group;  // "": root's; looked up when the step is done
  std::string like;   // not "": as this file has them now, before mode and group
};
[[nodiscard]] Result<Step> write_step(const std::string& path, const std::string& text,
                                      const FileLook& look = {});
[[nodiscard]] Result<Step> delete_step(const std::string& path);
[[nodiscard]] Result<Step> link_step(const std::string& path, const std::string& target);
// `user` and `group` are names, "" is root; made with its parents when missing.
[[nodiscard]] Step directory_step(const std::string& path, unsigned mode,
                                  const std::string& user = "", const std::string& group = "");
// A directory below `home`, made by the user in a folder of its own.
[[nodiscard]] Step folder_step(const std::string& home, const std::string& path,
                               const std::string& user);
[[nodiscard]] Step move_step(const std::string& from, const std::string& to);
[[nodiscard]] Step copy_step(const std::string& from, const std::string& to,
                             const std::string& user);
// A new file in a directory that `user` owns, written as that user; one that is there stays.
[[nodiscard]] Step page_step(const std::string& directory, const std::string& name,
                             const std::string& text, const std::string& user, unsigned mode);
// Words of a file in a directory of the user's replaced, as that user; no file is no error.
[[nodiscard]] Step retell_step(const std::string& directory, const std::string& name,
                               const std::string& user,
                               const std::vector<std::pair<std::string, std::string>>& words);
// For Work::finish.
[[nodiscard]] Step remove_tree_step(const std::string& path);

// For Work::finish, before the user is removed: what it owns in a tree that stays becomes root's,
// so that nobody who gets its number later owns it.
[[nodiscard]] Step release_step(const std::string& path, const std::string& user, uid_t uid);

// The site's archive, a directory that only root reads: site.json (`facts`), files.tar.zst, which
// holds the folders of the home that the user can read, and root.tar.zst for a web root elsewhere.
struct Packed {
  std::string home, folders, user;  // folders: words
  std::string root;                 // "": in the home
};
[[nodiscard]] Step archive_step(const std::string& file, const Packed& what,
                                const std::string& facts);
// `file`: a .tar.zst of it, unpacked into `home` by the user.
[[nodiscard]] Step unpack_step(const std::string& file, const std::string& home,
                               const std::string& user);

// Linux users.
[[nodiscard]] Step user_step(const std::string& name, const std::string& home,
                             const std::string& site);
[[nodiscard]] Step home_step(const std::string& user, const std::string& from,
                             const std::string& to);
// Ends every process of the user.
// The login shell of an account.
[[nodiscard]] Step shell_step(const std::string& user, const std::string& from,
                              const std::string& to);
[[nodiscard]] Step kill_step(const std::string& user);
// For Work::finish.
[[nodiscard]] Step remove_user_step(const std::string& name);

// The running server.  `check` reads the whole configuration as the server would; `reload` has a
// running server do that and take it; `reload-back` does nothing until it is undone: it is put
// before the steps that change files, and reloads when they have been put back.
[[nodiscard]] Step check_step(const Places& places);
[[nodiscard]] Step check_pool_step(const Places& places,
                                   const std::string& pool);  // that file alone
[[nodiscard]] Step reload_step(const Places& places);
[[nodiscard]] Step reload_back_step(const Places& places);
// Starts the site's PHP in its sandbox, over the server's own door, and runs nothing in it.
[[nodiscard]] Step wake_step(const Places& places, const std::string& site);
// Ends the pool as a stop would, running requests first; the next request starts it anew.
[[nodiscard]] Step stop_pool_step(const Places& places, const std::string& site);
// Asks for `GET /` of a host at a listen address until the answer is less than 500 (exactly
// `status`, when that is not 0).
[[nodiscard]] Step probe_step(const Places& places, const std::string& host,
                              const std::string& listen, int status = 0);

// OpenSSH: its configuration is valid, and (when `user` is given) in force for that user; then it
// is told to read it.
[[nodiscard]] Step sshd_step(const Places& places, const std::string& user,
                             const std::string& command);
[[nodiscard]] Step sshd_back_step(const Places& places);

// MariaDB, by its client program.
// Errors: a database or an account of these names is there: it is somebody's, and left alone.
Status check_database_free(const Places& places, const std::string& name, const std::string& user);
[[nodiscard]] Step database_step(const Places& places, const std::string& name,
                                 const std::string& user);
// For Work::finish.
[[nodiscard]] Step drop_database_step(const Places& places, const std::string& name,
                                      const std::string& user);
// The database as SQL in a file of root's (mode 0600).
[[nodiscard]] Step dump_step(const Places& places, const std::string& name,
                             const std::string& file);
// As `user`, whose account exists by then: the text of a dump is in good part the site's.
[[nodiscard]] Step load_step(const Places& places, const std::string& name, const std::string& file,
                             const std::string& user);

}  // namespace bulkhead::sites
