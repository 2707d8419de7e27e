#include "sites/file_look.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace bulkhead::sites {
namespace {

constexpr const char* kAcl = "system.posix_acl_access";
constexpr size_t kAclMax = 65536;  // XATTR_SIZE_MAX

std::string in_hex(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  for (unsigned char byte : bytes) (out += kDigits[byte >> 4]) += kDigits[byte & 15];
  return out;
}
std::string from_hex(const std::string& text) {
  std::string out;
  for (size_t at = 0; at + 1 < text.size(); at += 2) {
    out += static_cast<char>(std::strtoul(text.substr(at, 2).c_str(), nullptr, 16));
  }
  return out;
}
unsigned long number_in(const Step& step, const char* word) {
  return std::strtoul(step.word(word).c_str(), nullptr, 10);
}

}  // namespace

std::string octal(unsigned mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode);
  return text;
}
unsigned from_octal(const std::string& text) {
  return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 8));
}

Result<FileFacts> facts_of_file(sys::FdRef file) {
  struct stat st {};
  if (::fstat(file.get(), &st) < 0) return fail_errno("cannot look at a file");
  FileFacts facts{st.st_uid, st.st_gid, st.st_mode & 07777, "", true};
  facts.acl.resize(kAclMax);
  const ssize_t size = ::fgetxattr(file.get(), kAcl, facts.acl.data(), facts.acl.size());
  if (size < 0 && errno != ENODATA && errno != EOPNOTSUPP) return fail_errno("cannot read an ACL");
  facts.acl.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return facts;
}

// The mode before the ACL: where there is one, the mode's group bits are its mask.
Status give_facts(sys::FdRef file, const FileFacts& facts) {
  if (::fchown(file.get(), facts.uid, facts.gid) < 0 || ::fchmod(file.get(), facts.mode) < 0) {
    return fail_errno("cannot set owner and mode of a file");
  }
  if (facts.acl.empty() && !facts.is_old) return {};
  if (facts.acl.empty()) {
    if (::fremovexattr(file.get(), kAcl) == 0 || errno == ENODATA || errno == EOPNOTSUPP) return {};
    return fail_errno("cannot take an ACL from a file");
  }
  if (::fsetxattr(file.get(), kAcl, facts.acl.data(), facts.acl.size(), 0) == 0) return {};
  return fail_errno("cannot give a file its ACL");
}

void put_facts(const FileFacts& facts, Step* step) {
  step->with["old_uid"] = std::to_string(facts.uid);
  step->with["old_gid"] = std::to_string(facts.gid);
  step->with["old_mode"] = octal(facts.mode);
  if (!facts.acl.empty()) step->with["old_acl"] = in_hex(facts.acl);
}
FileFacts facts_in(const Step& step) {
  return {static_cast<uid_t>(number_in(step, "old_uid")),
          static_cast<gid_t>(number_in(step, "old_gid")), from_octal(step.word("old_mode")),
          from_hex(step.word("old_acl")), true};
}

}  // namespace bulkhead::sites
