// Sequences of steps that several commands share.
//
// Runs in: bulkhead-site.
#pragma once

#include <string>

#include "sites/commands.h"
#include "sites/record.h"
#include "sites/session.h"
#include "sites/steps.h"

namespace bulkhead::sites {

// /etc/bulkhead with its templates, and the state's directories, where they are missing.
Status plan_setup(const Common& common, const Record& first, Plan* plan);
// Home, folders, logs; the web root when it lies elsewhere.
Status plan_home(const Common& common, const Record& record, Plan* plan);
// The pool (tried in its sandbox before a name leads to it), then the server block, then its link;
// with a running server each is reloaded and asked.
struct Texts {
  std::string server, pool;                       // pool "": the site has none
  FileLook server_look, pool_look{0640, "", ""};  // new pools: env[] may hold secrets
};
Status plan_serving(const Common& common, const Record& record, const Texts& texts, Plan* plan);
// A running server checks the configuration and takes it; else it is checked here.
void plan_taking(const Places& places, Plan* plan);
// Takes the names and the pool out of service, files of the configuration with them.
Status plan_unserving(const Common& common, const Record& record, Plan* plan);
// OpenSSH's drop-in for sftp or a shell, the file of keys, and the login shell (ssh.cc).
Status plan_ssh(const Common& common, const Record& record, const std::string& keys, Plan* plan);
enum class Keys : uint8_t { kKeep, kRemove };
Status plan_no_ssh(const Common& common, const Record& record, Keys keys, Plan* plan);

// Errors: a name is already somebody's, with the place in the configuration; the configuration
// cannot be read as it is.  `own`: a site whose names do not count.
Status check_names(const Common& common, const Record& record);
// A user name that neither the system nor a site has.
[[nodiscard]] Result<std::string> free_user(const Common& common, const std::string& site);
[[nodiscard]] bool user_exists(const std::string& name);
// The web root's folder below the home ("app" of home/app/public); "" when it lies elsewhere.
[[nodiscard]] std::string below_home(const Record& record);

// The first `listen` of a site as an address to ask ("0.0.0.0:80").
[[nodiscard]] std::string probe_address(const Record& record);

// The page that tells the application of its database (wp-config.php), unless it has one.
Status plan_db_page(const Common& common, const Record& record, const Template& from, Plan* plan);

// A public key file as authorized_keys takes it.  Errors: not a list of keys, by line.
[[nodiscard]] Result<std::string> read_keys(const std::string& path);

// MariaDB's name for a site: letters, digits and '_', at most 64.
[[nodiscard]] std::string database_name_for(const std::string& site);

}  // namespace bulkhead::sites
