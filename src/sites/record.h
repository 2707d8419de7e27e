// What a site's files do not say about it: who made its user, where its home and database are.
// One file per site, STATE/records/NAME.json, which only root can change.
//
// Runs in: bulkhead-site.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sites/places.h"

namespace bulkhead::sites {

struct Record {
  std::string name, user, home, root, made_from;  // made_from: the template
  bool own_user = true;                           // made by us, removed with the site
  bool own_home = true;                           // home is ours too (not --root elsewhere)
  bool own_root = false;                          // a root outside of the home, made by us
  bool has_pool = true;
  std::vector<std::string> folders;  // of the home, which the user owns
  std::vector<std::string> aliases, listen;
  std::string www = "none";       // redirect, serve, none
  std::string database = "none";  // mariadb, sqlite, none
  std::string database_name, database_socket;
  bool disabled = false, sftp = false, shell = false;
  [[nodiscard]] bool comes_in() const { return sftp || shell; }  // its user, by OpenSSH
  std::string created;                                           // UTC, "2026-11-23T19:40:00Z"
};

[[nodiscard]] std::string to_json(const Record& record);
[[nodiscard]] Result<Record> parse_record(const std::string& text);
// Errors: no such site, with what is near it.
[[nodiscard]] Result<Record> read_record(const Places& places, const std::string& name);
// In order of names.  Errors: one that cannot be read, by its path.
[[nodiscard]] Result<std::vector<Record>> read_records(const Places& places);
[[nodiscard]] std::string utc_now();

// All names the site answers to, the canonical one first; with --www serve also www.NAME.
// One more name, unless it is served already.
void add_alias(const std::string& name, Record* record);
[[nodiscard]] std::vector<std::string> served_names(const Record& record);

}  // namespace bulkhead::sites
