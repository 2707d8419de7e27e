// Owner, mode and ACL of a file, as words of a step: what a rewritten file must keep.
//
// Runs in: bulkhead-site (root).  Input: files in directories that only root can change.
// Ref: acl(5), xattr(7): the access ACL is the attribute system.posix_acl_access.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "sites/step.h"
#include "sys/fd.h"

namespace bulkhead::sites {

struct FileFacts {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;
  std::string acl;      // the attribute's bytes; "" where there is none
  bool is_old = false;  // without one it shall have none, whatever its directory gives new files
};

// Of an open file (not O_PATH).
[[nodiscard]] Result<FileFacts> facts_of_file(sys::FdRef file);
// Gives a new file, still empty of readers, what another had.  Errors: also when its file system
// keeps no ACL and there was one: nobody shall be let in or shut out silently.
Status give_facts(sys::FdRef file, const FileFacts& facts);

// As words "old_uid", "old_gid", "old_mode", "old_acl" (in hexadecimal digits), and back.
void put_facts(const FileFacts& facts, Step* step);
[[nodiscard]] FileFacts facts_in(const Step& step);

[[nodiscard]] std::string octal(unsigned mode);
[[nodiscard]] unsigned from_octal(const std::string& text);

}  // namespace bulkhead::sites
