// The users and groups that a site can see.
//
// Runs in: a fresh pool, as root.  Input: the site's identity (from the system's user database).
#include <string>

#include "sandbox/view.h"

namespace bulkhead::sandbox {
namespace {

constexpr gid_t kTty = 5, kNogroup = 65534;

// A field of a line must not end the field or the line.
std::string field(std::string text) {
  std::erase_if(text, [](char c) { return c == ':' || c == '\n'; });
  return text;
}

}  // namespace

std::string passwd_text(const sys::Identity& who) {
  std::string out = "root:x:0:0:root:/root:/usr/sbin/nologin\n";
  if (who.uid != 0) {
    out += field(who.name.empty() ? "site" : who.name) + ":x:" + std::to_string(who.uid) + ":" +
           std::to_string(who.gid) + "::" + field(who.home.empty() ? "/" : who.home) + ":" +
           field(who.shell.empty() ? "/usr/sbin/nologin" : who.shell) + "\n";
  }
  if (who.uid != 65534) {
    out += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  }
  return out;
}

std::string group_text(const sys::Identity& who) {
  std::string out = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
  for (const gid_t gid : who.groups) {
    if (gid == 0 || gid == kTty || gid == kNogroup) continue;
    out += field(sys::group_name(gid)) + ":x:" + std::to_string(gid) + ":";
    out += (gid == who.gid ? "" : field(who.name)) + "\n";
  }
  return out;
}

}  // namespace bulkhead::sandbox
