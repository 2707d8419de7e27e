#include "sandbox/landlock.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "sys/open_beneath.h"

namespace bulkhead::sandbox {
namespace {

// The headers of the machine that builds may be older than the kernel that runs this, so the ABI's
// numbers stand here.  Ref: landlock(7), include/uapi/linux/landlock.h of Linux 6.18.
constexpr long kSysCreateRuleset = 444, kSysAddRule = 445, kSysRestrictSelf = 446;
constexpr uint32_t kCreateVersion = 1;
constexpr uint32_t kRulePathBeneath = 1, kRuleNetPort = 2;

struct RulesetAttr {
  uint64_t fs;
  uint64_t net;     // ABI 4
  uint64_t scoped;  // ABI 6
};
struct [[gnu::packed]] PathBeneathAttr {
  uint64_t allowed;
  int32_t parent_fd;
};
struct NetPortAttr {
  uint64_t allowed;
  uint64_t port;
};

enum FsRight : uint64_t {
  kExecute = 1ull << 0,
  kWriteFile = 1ull << 1,
  kReadFile = 1ull << 2,
  kReadDir = 1ull << 3,
  kRemoveDir = 1ull << 4,
  kRemoveFile = 1ull << 5,
  kMakeChar = 1ull << 6,
  kMakeDir = 1ull << 7,
  kMakeReg = 1ull << 8,
  kMakeSock = 1ull << 9,
  kMakeFifo = 1ull << 10,
  kMakeBlock = 1ull << 11,
  kMakeSym = 1ull << 12,
  kRefer = 1ull << 13,     // ABI 2
  kTruncate = 1ull << 14,  // ABI 3
  kIoctlDev = 1ull << 15,  // ABI 5
};
constexpr uint64_t kBindTcp = 1ull << 0, kConnectTcp = 1ull << 1;
constexpr uint64_t kScopeAbstract = 1ull << 0, kScopeSignal = 1ull << 1;

// The only rights that mean something for what is not a directory.
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev;

uint64_t known_fs(int abi) {
  uint64_t known = (1ull << 13) - 1;
  if (abi >= 2) known |= kRefer;
  if (abi >= 3) known |= kTruncate;
  if (abi >= 5) known |= kIoctlDev;
  return known;
}

uint64_t rights_of(PathRule::Access access) {
  constexpr uint64_t read = kReadFile | kReadDir, exec = read | kExecute;
  switch (access) {
    case PathRule::kList:
      return kReadDir;
    case PathRule::kRead:
      return read;
    case PathRule::kReadExec:
      return exec;
    case PathRule::kReadWrite:
      return exec | kWriteFile | kTruncate | kRemoveDir | kRemoveFile | kMakeDir | kMakeReg |
             kMakeSock | kMakeFifo | kMakeSym | kRefer | kIoctlDev;
  }
  return 0;
}

Status allow_object(sys::FdRef ruleset, sys::FdRef object, const PathRule& rule, int abi) {
  struct stat st {};
  if (::fstat(object.get(), &st) < 0) return fail_errno("fstat(" + rule.path + ") failed");
  PathBeneathAttr attr{rights_of(rule.access) & known_fs(abi), object.get()};
  if (!S_ISDIR(st.st_mode)) attr.allowed &= kOfFiles;
  if (::syscall(kSysAddRule, ruleset.get(), kRulePathBeneath, &attr, 0) < 0) {
    return fail_errno("landlock_add_rule(" + rule.path + ") failed");
  }
  return {};
}

Status allow_path(sys::FdRef ruleset, const PathRule& rule, int abi,
                  std::vector<std::string>* skipped) {
  if (rule.object.valid()) return allow_object(ruleset, rule.object, rule, abi);
  sys::Resolved found = sys::resolve_path({.path = rule.path});
  if (found.error == 0) return allow_object(ruleset, found.object, rule, abi);
  // EMFILE and the like are ours to report; the others say that the process could not get there.
  constexpr int kUnreachable[] = {ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG};
  if (std::ranges::find(kUnreachable, found.error) == std::end(kUnreachable)) {
    return fail_errno("looking up " + rule.path + " for Landlock failed", found.error);
  }
  if (skipped != nullptr) skipped->push_back(rule.path + ": " + ::strerror(found.error));
  return {};
}

Status allow_ports(sys::FdRef ruleset, const std::optional<std::vector<uint16_t>>& ports,
                   uint64_t right) {
  if (!ports) return {};
  for (uint16_t port : *ports) {
    NetPortAttr attr{right, port};
    if (::syscall(kSysAddRule, ruleset.get(), kRuleNetPort, &attr, 0) < 0) {
      return fail_errno("landlock_add_rule(TCP port " + std::to_string(port) + ") failed");
    }
  }
  return {};
}

// An older kernel wants the shorter structure of its time.
size_t attr_size(int abi) {
  if (abi >= 6) return sizeof(RulesetAttr);
  return abi >= 4 ? offsetof(RulesetAttr, scoped) : offsetof(RulesetAttr, net);
}

Result<sys::Fd> create_ruleset(const LandlockRules& rules, int abi) {
  RulesetAttr attr{.fs = known_fs(abi), .net = 0, .scoped = 0};
  if (rules.tcp_bind) attr.net |= kBindTcp;
  if (rules.tcp_connect) attr.net |= kConnectTcp;
  if (rules.scope_abstract_sockets) attr.scoped |= kScopeAbstract;
  if (rules.scope_signals) attr.scoped |= kScopeSignal;
  // The descriptor is close-on-exec from birth.
  sys::Fd ruleset(static_cast<int>(::syscall(kSysCreateRuleset, &attr, attr_size(abi), 0)));
  if (!ruleset.valid()) return fail_errno("landlock_create_ruleset() failed");
  return ruleset;
}

}  // namespace

int landlock_abi() {
  long abi = ::syscall(kSysCreateRuleset, nullptr, 0, kCreateVersion);
  return abi < 0 ? 0 : static_cast<int>(abi);  // ENOSYS, or EOPNOTSUPP: built in but not started
}

Status restrict_by_landlock(const LandlockRules& rules, std::vector<std::string>* skipped) {
  const int abi = landlock_abi();
  if (abi == 0) return fail_errno("this kernel has no Landlock", ENOSYS);
  sys::Fd ruleset = TRY(create_ruleset(rules, abi));
  for (const PathRule& rule : rules.paths) {
    TRY_STATUS(allow_path(ruleset, rule, abi, skipped));
  }
  if (abi >= 4) {
    TRY_STATUS(allow_ports(ruleset, rules.tcp_bind, kBindTcp));
    TRY_STATUS(allow_ports(ruleset, rules.tcp_connect, kConnectTcp));
  }
  if (::syscall(kSysRestrictSelf, ruleset.get(), 0) < 0) {
    return fail_errno("landlock_restrict_self() failed");
  }
  return {};
}

}  // namespace bulkhead::sandbox
