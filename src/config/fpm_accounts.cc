// Users and groups that pools name: looked up once each, however many pools name them.
//
// Runs in: master.  Input: configuration (trusted); the user database as it is.
#include <grp.h>
#include <pwd.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <unordered_map>

#include "base/accounts.h"
#include "config/fpm_table.h"
#include "config/fpm_validate.h"

namespace bulkhead::config {
namespace {

struct Account {
  uid_t id = 0;
  gid_t group = 0;  // primary group, of users only
};

class Accounts {
 public:
  explicit Accounts(FpmConfig* config) : config_(config) {}

  // True for an existing name.  Names of digits only (and empty ones) are ids and always exist.
  bool user(const PoolConfig& p, const std::string& name, bool with_errno, Account* out) {
    auto [it, is_new] = users_.try_emplace(name);
    if (is_new) it->second = find_user(name);
    if (it->second) return *out = *it->second, true;
    return missing(p, "cannot get uid for user '" + name + "'", with_errno);
  }
  bool group(const PoolConfig& p, const std::string& name, bool with_errno, Account* out) {
    auto [it, is_new] = groups_.try_emplace(name);
    if (is_new) it->second = find_group(name);
    if (it->second) return *out = *it->second, true;
    return missing(p, "cannot get gid for group '" + name + "'", with_errno);
  }
  bool users(const PoolConfig& p, const std::string& list) { return each(p, list, true); }
  bool groups(const PoolConfig& p, const std::string& list) { return each(p, list, false); }

 private:
  static bool is_id(const std::string& name) {
    return name.find_first_not_of("0123456789") == std::string::npos;
  }

  static std::optional<Account> find_user(const std::string& name) {
    if (is_id(name)) {
      Account a;
      a.id = static_cast<uid_t>(strtoul(name.c_str(), nullptr, 10));
      if (const UserRecord* known = user_of_files(a.id)) {
        a.group = known->gid;
      } else if (const passwd* pw = getpwuid(a.id)) {
        a.group = pw->pw_gid;
      }
      return a;
    }
    if (const UserRecord* known = user_of_files(name)) return Account{known->uid, known->gid};
    const passwd* pw = getpwnam(name.c_str());
    if (!pw) return std::nullopt;
    return Account{pw->pw_uid, pw->pw_gid};
  }
  static std::optional<Account> find_group(const std::string& name) {
    if (is_id(name)) return Account{static_cast<uid_t>(strtoul(name.c_str(), nullptr, 10)), 0};
    if (const gid_t* known = group_of_files(name)) return Account{*known, *known};
    const group_entry* gr = getgrnam(name.c_str());
    if (!gr) return std::nullopt;
    return Account{gr->gr_gid, gr->gr_gid};
  }
  using group_entry = struct ::group;

  bool missing(const PoolConfig& p, std::string text, bool with_errno) {
    if (with_errno) text += ": Success (0)";
    config_->messages.push_back({FpmLevel::kError, "[pool " + p.name + "] " + text});
    return false;
  }

  bool each(const PoolConfig& p, const std::string& list, bool are_users) {
    size_t i = 0;
    while (i <= list.size()) {
      size_t end = list.find(',', i);
      if (end == std::string::npos) end = list.size();
      std::string name = list.substr(i, end - i);
      i = end + 1;
      Account ignored;
      if (are_users ? !user(p, name, true, &ignored) : !group(p, name, true, &ignored))
        return false;
    }
    return true;
  }

  FpmConfig* config_;
  std::unordered_map<std::string, std::optional<Account>> users_, groups_;
};

bool is_unix(const PoolConfig& p) { return !p.listen.empty() && p.listen[0] == '/'; }

// What `php-fpm -t` looks up.
bool test_pool(const PoolConfig& p, Accounts* accounts) {
  Account a;
  return (!fpm_given(p, "user") || accounts->user(p, p.user, false, &a)) &&
         (!fpm_given(p, "group") || accounts->group(p, p.group, false, &a)) &&
         (!fpm_given(p, "listen.owner") || accounts->user(p, p.listen_owner, true, &a)) &&
         (!fpm_given(p, "listen.group") || accounts->group(p, p.listen_group, true, &a));
}

// Directives that have no force without root are noted, in php-fpm's order.
void note_ignored(const PoolConfig& p, FpmConfig* config) {
  auto note = [&](const char* name, bool is_set) {
    if (!is_set) return;
    config->messages.push_back(
        {FpmLevel::kNotice, "[pool " + p.name + "] '" + name +
                                "' directive is ignored when FPM is not running as root"});
  };
  note("user", !p.user.empty());
  note("group", !p.group.empty());
  note("chroot", !p.chroot.empty());
  note("process.priority", p.process_priority != 64);
}

bool start_identity(const FpmOptions& options, const PoolConfig& p, Accounts* accounts,
                    FpmConfig* config) {
  if (!options.as_root) {
    note_ignored(p, config);
    return true;
  }
  Account who;
  if (!p.user.empty() && !accounts->user(p, p.user, false, &who)) return false;
  if (!p.group.empty()) {
    Account g;
    if (!accounts->group(p, p.group, false, &g)) return false;
    who.group = static_cast<gid_t>(g.id);
  }
  if (options.allow_root || (who.id != 0 && who.group != 0)) return true;
  config->messages.push_back(
      {FpmLevel::kError, "[pool " + p.name + "] please specify user and group other than root"});
  return false;
}

// A TCP address needs a port that is a number above 0.
bool check_port(const PoolConfig& p, FpmConfig* config) {
  size_t colon = p.listen.rfind(':');
  std::string port = colon == std::string::npos ? p.listen : p.listen.substr(colon + 1);
  if (atoi(port.c_str()) != 0) return true;
  config->messages.push_back({FpmLevel::kError, "invalid port value '" + port + "'"});
  return false;
}

void note_overridden(const char* name, const std::string& value, const PoolConfig& p,
                     FpmConfig* config) {
  if (value.empty()) return;
  config->messages.push_back({FpmLevel::kWarning, "[pool " + p.name + "] ACL set, " + name +
                                                      " = '" + value + "' is ignored"});
}

// listen.* names, looked up when the socket is made.
bool start_socket(const PoolConfig& p, Accounts* accounts, FpmConfig* config) {
  if (!is_unix(p)) return check_port(p, config);
  bool has_acl = !p.listen_acl_users.empty() || !p.listen_acl_groups.empty();
  if (has_acl) {
    bool known = (p.listen_acl_users.empty() || accounts->users(p, p.listen_acl_users)) &&
                 (p.listen_acl_groups.empty() || accounts->groups(p, p.listen_acl_groups));
    if (known) {
      note_overridden("listen.owner", p.listen_owner, p, config);
      note_overridden("listen.group", p.listen_group, p, config);
    }
    return known;
  }
  Account a;
  return (p.listen_owner.empty() || accounts->user(p, p.listen_owner, true, &a)) &&
         (p.listen_group.empty() || accounts->group(p, p.listen_group, true, &a));
}

}  // namespace

bool fpm_check_accounts(const FpmOptions& options, FpmConfig* config) {
  Accounts accounts(config);
  if (options.test) {
    for (const PoolConfig& p : config->pools) {
      if (!test_pool(p, &accounts)) return false;
    }
    return true;
  }
  if (!options.as_root && config->global.process_priority != 64) {
    config->messages.push_back(
        {FpmLevel::kNotice,
         "'process.priority' directive is ignored when FPM is not running as root"});
  }
  for (const PoolConfig& p : config->pools) {
    if (!start_identity(options, p, &accounts, config)) return false;
  }
  for (const PoolConfig& p : config->pools) {
    if (!start_socket(p, &accounts, config)) return false;
  }
  return true;
}

}  // namespace bulkhead::config
