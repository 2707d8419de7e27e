// An archive that root is asked to restore: who could have changed it, and what it says.
//
// Runs in: bulkhead-site (root).  Input: a directory named by the administrator (hostile until it
// was looked at: anybody can write a site.json).
#pragma once

#include <string>

#include "base/error.h"
#include "sites/places.h"
#include "sites/record.h"

namespace bulkhead::sites {

struct Archive {
  std::string path;  // without links
  Record record;
  [[nodiscard]] std::string file(const char* name) const { return path + "/" + name; }
};

// `given`: a path, or a name in STATE/archive.  Errors: there is none; it, a file in it, or a
// directory on the way to it can be changed by somebody else than root; its site.json asks for what
// `site add` would refuse.
[[nodiscard]] Result<Archive> open_archive(const Places& places, const std::string& given);

// The rules of `site add` for everything a record says.  Errors: the first word that breaks one.
Status check_record(const Places& places, const Record& record);
Status check_listen(const std::string& text);
// An absolute path that can stand in both languages, and is no directory of the system, of ours or
// of another site, by links either.  Below the site's own home nothing else is asked.
Status check_root(const Places& places, const Record& record);
// An existing user that a site may have: of a person, not of the system (login.defs(5)).
Status check_existing_user(const std::string& name);

}  // namespace bulkhead::sites
