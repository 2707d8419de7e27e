#include "sys/users.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/accounts.h"

namespace bulkhead::sys {
namespace {

constexpr size_t kGroupsMax = 65536;  // NGROUPS_MAX of Linux

std::optional<uint32_t> parse_id(const std::string& text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if (value == UINT32_MAX) return {};  // means "no change" to the kernel
  return value;
}

// Looks a record up with a buffer that grows until it fits.
template <class Record, class Lookup>
bool look_up(Record* record, std::string* storage, Lookup lookup) {
  storage->resize(4096);
  for (;;) {
    Record* found = nullptr;
    int error = lookup(record, storage->data(), storage->size(), &found);
    if (error == ERANGE && storage->size() < (16u << 20)) {
      storage->resize(storage->size() * 2);
      continue;
    }
    return error == 0 && found != nullptr;
  }
}
bool user_by_name(const std::string& name, passwd* out, std::string* storage) {
  return look_up(out, storage, [&](passwd* p, char* b, size_t n, passwd** found) {
    return ::getpwnam_r(name.c_str(), p, b, n, found);
  });
}
bool user_by_uid(uid_t uid, passwd* out, std::string* storage) {
  return look_up(out, storage, [&](passwd* p, char* b, size_t n, passwd** found) {
    return ::getpwuid_r(uid, p, b, n, found);
  });
}
bool group_by_name(const std::string& name, group* out, std::string* storage) {
  return look_up(out, storage, [&](group* g, char* b, size_t n, group** found) {
    return ::getgrnam_r(name.c_str(), g, b, n, found);
  });
}

void take(const UserRecord& from, Identity* to) {
  to->uid = from.uid;
  to->gid = from.gid;
  to->name = from.name;
  to->home = from.home;
  to->shell = from.shell;
}

}  // namespace

std::optional<uid_t> find_uid(const std::string& name_or_number) {
  if (const UserRecord* known = user_of_files(name_or_number)) return known->uid;
  passwd record;
  std::string storage;
  if (user_by_name(name_or_number, &record, &storage)) return record.pw_uid;
  return parse_id(name_or_number);
}

std::optional<gid_t> find_gid(const std::string& name_or_number) {
  if (const gid_t* known = group_of_files(name_or_number)) return *known;
  group record;
  std::string storage;
  if (group_by_name(name_or_number, &record, &storage)) return record.gr_gid;
  return parse_id(name_or_number);
}

Result<Identity> find_identity(const std::string& user, const std::string& group) {
  passwd record;
  std::string storage;
  Identity who;
  const UserRecord* in_files = user_of_files(user);
  if (in_files != nullptr) {
    take(*in_files, &who);
  }
  bool known = in_files != nullptr || user_by_name(user, &record, &storage);
  if (!known) {
    auto uid = parse_id(user);
    if (!uid) return fail("cannot get uid for user '" + user + "'");
    known = user_by_uid(*uid, &record, &storage);
    who.uid = *uid;
    who.gid = *uid;  // a number nobody knows: its group is asked for by name, or the same number
    who.name = user;
  }
  if (known && in_files == nullptr) {
    who.uid = record.pw_uid;
    who.gid = record.pw_gid;
    who.name = record.pw_name;
    who.home = record.pw_dir;
    who.shell = record.pw_shell;
  }
  if (!group.empty()) {
    auto gid = find_gid(group);
    if (!gid) return fail("cannot get gid for group '" + group + "'");
    who.gid = *gid;
  }
  who.groups = {who.gid};
  if (const auto* listed = known ? groups_of_files(who.name) : nullptr) {
    for (gid_t gid : *listed) {
      if (std::find(who.groups.begin(), who.groups.end(), gid) == who.groups.end()) {
        who.groups.push_back(gid);
      }
    }
  } else if (known) {
    int count = 64;
    std::vector<gid_t> groups(count);
    while (::getgrouplist(who.name.c_str(), who.gid, groups.data(), &count) < 0) {
      if (groups.size() >= kGroupsMax) return fail("too many groups of user '" + user + "'");
      groups.resize(std::max<size_t>(count, groups.size() * 2));
      count = static_cast<int>(groups.size());
    }
    groups.resize(count);
    who.groups = std::move(groups);
  }
  return who;
}

std::string user_name(uid_t uid) {
  passwd record;
  std::string storage;
  return user_by_uid(uid, &record, &storage) ? record.pw_name : std::to_string(uid);
}

std::string group_name(gid_t gid) {
  group record;
  std::string storage;
  bool found = look_up(&record, &storage, [&](group* g, char* b, size_t n, group** out) {
    return ::getgrgid_r(gid, g, b, n, out);
  });
  return found ? record.gr_name : std::to_string(gid);
}

}  // namespace bulkhead::sys
