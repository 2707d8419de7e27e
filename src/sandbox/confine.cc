#include "sandbox/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "config/pool_mail.h"
#include "sys/process.h"

namespace bulkhead::sandbox {
namespace {

constexpr const char* kPrograms[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                     "/lib32", "/lib64", "/libx32"};
// Of the machine's own tree, when there is no view to narrow it.
constexpr const char* kReadable[] = {"/etc/resolv.conf",
                                     "/etc/hosts",
                                     "/etc/host.conf",
                                     "/etc/nsswitch.conf",
                                     "/etc/gai.conf",
                                     "/etc/services",
                                     "/etc/protocols",
                                     "/etc/networks",
                                     "/etc/passwd",
                                     "/etc/group",
                                     "/etc/hostname",
                                     "/etc/ssl/certs",
                                     "/etc/ssl/openssl.cnf",
                                     "/etc/ca-certificates",
                                     "/etc/ca-certificates.conf",
                                     "/etc/localtime",
                                     "/etc/timezone",
                                     "/etc/ld.so.cache",
                                     "/etc/ld.so.conf",
                                     "/etc/ld.so.conf.d",
                                     "/etc/alternatives",
                                     "/etc/fonts",
                                     "/etc/mime.types",
                                     "/etc/magic",
                                     "/etc/locale.alias",
                                     "/etc/gitconfig",
                                     "/etc/mailname",
                                     "/etc/perl",
                                     "/etc/python3",
                                     "/etc/python3.11",
                                     "/etc/ghostscript",
                                     "/etc/ImageMagick-6",
                                     "/etc/ImageMagick-7",
                                     "/etc/mysql",
                                     "/etc/odbc.ini",
                                     "/etc/odbcinst.ini",
                                     "/etc/profile",
                                     "/etc/bash.bashrc",
                                     "/etc/terminfo",
                                     "/etc/papersize",
                                     "/etc/debian_version",
                                     "/etc/os-release",
                                     "/etc/environment",
                                     "/etc/inputrc",
                                     "/etc/wgetrc",
                                     "/run/mysqld",
                                     "/run/systemd/resolve",
                                     "/sys/devices/system/cpu"};
constexpr const char* kDevices[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
                                    "/dev/urandom", "/dev/tty",  "/dev/ptmx", "/dev/pts"};

void add(LandlockRules* rules, const std::string& path, PathRule::Access access) {
  rules->paths.push_back({path, access, {}});
}

void add_tree(LandlockRules* rules, const Shown& shown) {
  if (shown.hidden) return;
  add(rules, shown.found.path, PathRule::kReadExec);
  if (!shown.read_only) add(rules, shown.found.path, PathRule::kReadWrite);
}

Status lacks(const SitePolicy& policy, Layer layer, const std::string& why) {
  if (policy.mode != Mode::kStrict) return {};
  return fail("sandbox = strict: the layer \"" + std::string(layer_name(layer)) +
              "\" is missing: " + why);
}

}  // namespace

Result<Entered> enter(const SitePolicy& policy, const Offered& offered, const sys::Identity& who,
                      const std::vector<PrivateDir>& dirs) {
  Entered entered;
  if (policy.mode == Mode::kOff) return entered;
  if (policy.wants(Layer::kLandlock) && landlock_abi() == 0) {
    TRY_STATUS(lacks(policy, Layer::kLandlock, "this kernel has none, or it is switched off"));
  }
  if (policy.wants(Layer::kSeccomp) && !offered.filter) {
    TRY_STATUS(lacks(policy, Layer::kSeccomp, "this kernel has no filters"));
  }
  const bool root = sys::is_root();
  entered.sendmail = offered.sendmail;
  if (policy.wants(Layer::kPid) && ::getpid() != 1) {
    TRY_STATUS(lacks(policy, Layer::kPid, root ? offered.why : "not root"));
  }
  if (policy.wants(Layer::kIpc)) {
    // The cgroup namespace hides where in the machine's hierarchy the site's group lies.
    const bool done = root && ::unshare(CLONE_NEWIPC | CLONE_NEWUTS) == 0;
    if (!done) TRY_STATUS(lacks(policy, Layer::kIpc, fail_errno("unshare()").error().describe()));
    if (root) (void)::unshare(CLONE_NEWCGROUP);
  }
  if (policy.wants(Layer::kView) && root && offered.base) {
    entered.trees = TRY(enter_view(policy, who, *offered.base, dirs));
    entered.in_view = true;
    if (!entered.sendmail.empty()) entered.sendmail = config::kMailProgram;
    entered.proc.reset(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return entered;
  }
  if (policy.wants(Layer::kView)) {
    TRY_STATUS(lacks(policy, Layer::kView, root ? offered.why : "not root"));
  }
  if (root) entered.trees = TRY(resolve_trees(policy, who.uid)).trees;
  for (Shown& s : entered.trees) s.found.object.reset();
  entered.proc.reset(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return entered;
}

LandlockRules landlock_rules(const SitePolicy& policy, const Entered& entered,
                             const std::vector<PrivateDir>& dirs, const std::string& chroot) {
  LandlockRules rules;
  if (!chroot.empty() || policy.wide) {
    // The directory is the wall; or nobody knows what the site needs.
    add(&rules, "/", PathRule::kReadExec);
    add(&rules, "/", PathRule::kReadWrite);
    return rules;
  }
  for (const char* path : kPrograms) add(&rules, path, PathRule::kReadExec);
  if (entered.in_view) {
    add(&rules, "/", PathRule::kList);  // names only, and those of the view
    for (const char* path : {"/etc", "/run"}) add(&rules, path, PathRule::kRead);
    for (const char* path : {"/dev", "/tmp", "/var/tmp"}) add(&rules, path, PathRule::kReadWrite);
    for (const char* path : {"/tmp", "/var/tmp"}) add(&rules, path, PathRule::kReadExec);
    for (const PrivateDir& dir : dirs) add(&rules, dir.path, PathRule::kReadWrite);
  } else {
    for (const char* path : kReadable) add(&rules, path, PathRule::kRead);
    for (const char* path : kDevices) add(&rules, path, PathRule::kReadWrite);
    if (!policy.state.empty()) add(&rules, policy.state, PathRule::kReadWrite);
  }
  if (!entered.sendmail.empty()) add(&rules, entered.sendmail, PathRule::kReadExec);
  if (entered.proc.valid()) rules.paths.push_back({"/proc", PathRule::kRead, entered.proc});
  for (const Shown& shown : entered.trees) add_tree(&rules, shown);
  return rules;
}

std::optional<LandlockRules> opener_rules(const SitePolicy& policy, const Entered& entered) {
  if (!policy.wants(Layer::kLandlock) || landlock_abi() == 0) return {};
  LandlockRules rules;
  for (const char* path : kPrograms) add(&rules, path, PathRule::kReadExec);
  // An administrator's link, or one whose owner owns what it leads to, may point anywhere.
  add(&rules, "/", PathRule::kRead);
  for (const char* path : {"/tmp", "/var/lib/nginx", "/dev/null"}) {
    add(&rules, path, PathRule::kReadWrite);
  }
  for (const Shown& shown : entered.trees) {
    if (!shown.hidden && !shown.read_only) add(&rules, shown.found.path, PathRule::kReadWrite);
  }
  return rules;
}

}  // namespace bulkhead::sandbox
