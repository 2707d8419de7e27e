// See pool_start.h.
#include "pool/pool_start.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "config/pool_config.h"
#include "config/pool_limits.h"
#include "config/pool_mail.h"
#include "php/engine.h"
#include "pool/config_memory.h"
#include "pool/pool.h"
#include "sandbox/cgroup.h"
#include "sandbox/policy.h"
#include "sandbox/quota.h"
#include "sandbox/stand_ins.h"
#include "sandbox/state_dir.h"
#include "sys/message.h"
#include "sys/private_memory.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/users.h"

namespace bulkhead::pool {
namespace {

constexpr int kPriorityUnset = 64;
constexpr const char* kSendmailDefault = "/usr/sbin/sendmail -t -i";  // php-8.2 main/main.c
constexpr size_t kFixedFds = 4, kFdsPerLoop = 3;
enum FixedFd : size_t { kConfig, kMaster, kAccessLog, kBell };

// `order.fds` without the access log when there is none: positions from there on move by one.
size_t position(const ForkOrder& order, FixedFd which) {
  const bool moved = order.body.has_access_log == 0 && which > kAccessLog;
  return static_cast<size_t>(which) - (moved ? 1 : 0);
}

// Behind everything that is_complete() counts; run_pool may have added others.
size_t group_position(const ForkOrder& order) {
  return kFixedFds - (order.body.has_access_log == 0 ? 1 : 0) +
         size_t{order.body.loops} * kFdsPerLoop;
}

void tell_master(sys::FdRef master, ipc::Op op, std::string_view payload) {
  const ipc::Header header{static_cast<uint16_t>(op), 0, static_cast<uint32_t>(payload.size())};
  [[maybe_unused]] auto sent =
      sys::send_message(master, {reinterpret_cast<const char*>(&header), sizeof header}, payload);
}

// Nothing that another site's pool also holds may stay: memory, lock files, descriptors.
// Notes the descriptors extensions brought along, and which is opcache's lock.
Status become_separate(const ForkOrder& order, std::initializer_list<sys::FdRef> more,
                       Setup& setup) {
  TRY_STATUS(sys::make_shared_memory_private());
  const auto locks = TRY(sys::replace_lock_files({".ZendSem.", "memfd:opcache_lock"}));
  if (locks.size() == 1) setup.cache_lock = locks.front();
  std::vector<sys::FdRef> ours;
  for (const sys::Fd& fd : order.fds) ours.push_back(fd);
  for (const sys::FdRef fd : more) {
    if (fd.valid()) ours.push_back(fd);
  }
  TRY_STATUS(sys::check_descriptors(ours));
  for (const sys::FdRef fd : sys::open_descriptors(3)) {
    if (std::find(ours.begin(), ours.end(), fd) == ours.end()) setup.kept_by_workers.push_back(fd);
  }
  return {};
}

Result<sys::Identity> identity_of(const ForkOrder& order, const config::PoolConfig& config) {
  if (order.body.change_user != 0) {
    sys::Identity identity = TRY(sys::find_identity(config.user, config.group));
    if (identity.uid != order.body.uid || identity.gid != order.body.gid) {
      return fail("user '" + config.user + "' changed while the pool started");
    }
    return identity;
  }
  sys::Identity identity;
  identity.uid = geteuid();
  identity.gid = getegid();
  if (const passwd* entry = getpwuid(identity.uid)) {
    identity.name = entry->pw_name;
    identity.home = entry->pw_dir;
  }
  return identity;
}

Status restrict_self(const ForkOrder& order, const config::PoolConfig& config,
                     const sys::Identity& identity, const sandbox::Filter* filter,
                     std::optional<sandbox::LandlockRules> rules) {
  sandbox::Policy policy;
  if (order.body.change_user != 0) policy.identity = identity;
  policy.dumpable = config.process_dumpable;
  if (config.rlimit_files > 0) policy.nofile = static_cast<uint64_t>(config.rlimit_files);
  if (config.rlimit_core > 0) policy.core_bytes = static_cast<uint64_t>(config.rlimit_core);
  if (config.process_priority != kPriorityUnset) policy.nice = config.process_priority;
  policy.chroot = config.chroot;
  policy.chdir = config.chdir;
  policy.no_capabilities = true;
  policy.landlock = std::move(rules);
  policy.filter = filter;
  return sandbox::apply(policy);
}

// env[] first, then USER and HOME: the order in which php-fpm's scripts see them.
void set_environment(const config::PoolConfig& config, const sys::Identity& identity) {
  if (config.clear_env) clearenv();
  for (const auto& [name, value] : config.env) setenv(name.c_str(), value.c_str(), 1);
  if (!identity.name.empty()) setenv("USER", identity.name.c_str(), 1);
  if (!identity.home.empty()) setenv("HOME", identity.home.c_str(), 1);
}

// Settings of PHP that name a directory, and the site's own instead of it.
struct OwnDirectory {
  const char *setting, *name;
};
constexpr OwnDirectory kOwnDirectories[] = {
    {"session.save_path", "sessions"}, {"upload_tmp_dir", "uploads"}, {"sys_temp_dir", "tmp"}};

// Where php.ini's own directories are, so that the view can lay the site's over them.
std::vector<sandbox::PrivateDir> private_dirs() {
  std::vector<sandbox::PrivateDir> dirs;
  for (const OwnDirectory& own : kOwnDirectories) {
    std::string path = php::ini_value(own.setting);
    path.erase(0, path.rfind(';') + 1);  // "2;0600;/path": all of it stays when there is none
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const bool placed = path == "/tmp" || path == "/var/tmp" || path == "/dev/shm";
    if (path.starts_with('/') && !placed) dirs.push_back({path, own.name});
  }
  return dirs;
}

// Defaults under the pool's own: where there is no view, the directories are named instead.
void add_own_directories(const sandbox::SitePolicy& policy, bool in_view, bool in_chroot,
                         php::PoolSettings* settings) {
  if (policy.state.empty() || in_chroot) return;
  // Debian cleans the common directory by cron and tells PHP not to; nobody cleans the site's own.
  if (php::ini_value("session.gc_probability") == "0") {
    settings->ini.push_back({"session.gc_probability", "1", false, false});
  }
  if (in_view) return;
  for (const OwnDirectory& own : kOwnDirectories) {
    settings->ini.push_back({own.setting, policy.state + "/" + own.name, false, false});
  }
  setenv("TMPDIR", (policy.state + "/tmp").c_str(), 0);
}

// No setgid sendmail works in a site: ours unless php.ini or the pool says another command.
void add_sendmail(const sandbox::SitePolicy& policy, const sandbox::Entered& entered,
                  php::PoolSettings* settings) {
  if (entered.sendmail.empty()) return;
  const std::string now = php::ini_value("sendmail_path");
  if (!now.empty() && now != kSendmailDefault) return;
  settings->ini.push_back(
      {"sendmail_path", config::sendmail_path(policy.mail, entered.sendmail), false, false});
}

php::PoolSettings php_settings(const config::PoolConfig& config, const sandbox::SitePolicy& policy,
                               const sandbox::Entered& entered) {
  php::PoolSettings settings;
  add_own_directories(policy, entered.in_view, !config.chroot.empty(), &settings);
  if (config.chroot.empty()) add_sendmail(policy, entered, &settings);
  settings.limit_extensions = config.limit_extensions;
  using Kind = config::PhpDefine::Kind;
  for (const config::PhpDefine& d : config.php_values) {
    settings.ini.push_back({d.name, d.value,
                            d.kind == Kind::kAdminValue || d.kind == Kind::kAdminFlag,
                            d.kind == Kind::kFlag || d.kind == Kind::kAdminFlag});
  }
  return settings;
}

void log_php(php::LogLevel level, std::string_view text, void* log) {
  static_cast<PoolLog*>(log)->line(static_cast<config::FpmLevel>(level), text);
}

Result<std::unique_ptr<ring::WorkerRing>> map_ring(ForkOrder& order, Setup& setup) {
  const size_t first = position(order, kBell) + 1;
  std::vector<ring::WorkerRing::LoopEnds> ends;
  for (uint32_t i = 0; i < order.body.loops; ++i) {
    const size_t at = first + i * kFdsPerLoop;
    setup.kept_by_workers.push_back(order.fds[at + 1]);  // wakes front
    ends.push_back({std::move(order.fds[at]), std::move(order.fds[at + 1])});
    setup.channels.push_back(std::move(order.fds[at + 2]));
  }
  return ring::WorkerRing::create(order.fds[position(order, kBell)], std::move(ends));
}

Status divide_disk(const config::PoolConfig& config, const sandbox::SitePolicy& policy,
                   PoolLog& log) {
  const auto bytes = config::read_limits(config).disk_bytes;
  if (!sys::is_root()) return {};
  auto done = sandbox::limit_disk(policy.state, config.name, bytes.value_or(0));
  if (done || policy.mode == sandbox::Mode::kStrict) return done;
  // Master has said so where nothing else was to be expected.
  if (sandbox::has_project_quota(policy.state)) {
    log.line(config::FpmLevel::kWarning,
             "[pool " + config.name + "] limit.disk is not in force: " + done.error().describe());
  }
  return {};
}

std::optional<sandbox::LandlockRules> landlock_of(const sandbox::SitePolicy& policy,
                                                  const sandbox::Entered& entered,
                                                  const std::vector<sandbox::PrivateDir>& dirs,
                                                  const std::string& chroot) {
  // Without root the trees are not known: the calling user's files are everybody's here.
  const bool possible = sandbox::landlock_abi() > 0 && (entered.in_view || sys::is_root());
  if (!policy.wants(sandbox::Layer::kLandlock) || !possible) return {};
  return sandbox::landlock_rules(policy, entered, dirs, chroot);
}

// A view is made once: what is made later is not in it.
void warn_of_missing_roots(const sandbox::SitePolicy& policy, PoolLog& log) {
  if (!policy.wants(sandbox::Layer::kView) || policy.wide) return;
  for (const sandbox::Tree& tree : policy.trees) {
    if (!tree.is_web_root() || ::access(tree.path.c_str(), F_OK) == 0 || errno != ENOENT) continue;
    log.line(config::FpmLevel::kWarning,
             tree.origin + " \"" + tree.path +
                 "\" is not there, and this pool will not see it: make it, then reload");
  }
}

Result<std::unique_ptr<Pool>> start_pool(ForkOrder& order, Nursery& nursery, PoolLog& log) {
  Setup setup;
  setup.log = &log;
  setup.config = TRY(read_config(order.fds[position(order, kConfig)], order.body.config_bytes));
  const sandbox::SitePolicy policy = TRY(policy_of(order));
  sys::set_process_title("bulkhead: pool " + setup.config.name);
  TRY_STATUS(sandbox::limit_process(config::read_limits(setup.config),
                                    static_cast<uint8_t>(order.body.controllers)));
  const sys::Identity identity = TRY(identity_of(order, setup.config));
  if (!policy.state.empty()) {
    TRY_STATUS(sandbox::prepare_site_state(policy.state, identity));
    TRY_STATUS(divide_disk(setup.config, policy, log));
  }
  warn_of_missing_roots(policy, log);
  const std::vector<sandbox::PrivateDir> dirs = private_dirs();
  const sandbox::Entered entered = TRY(sandbox::enter(policy, nursery.offered, identity, dirs));
  TRY_STATUS(become_separate(order, {nursery.self_link, entered.proc}, setup));
  setup.ring = TRY(map_ring(order, setup));
  const bool filtered = policy.wants(sandbox::Layer::kSeccomp) && nursery.offered.filter;
  TRY_STATUS(restrict_self(order, setup.config, identity,
                           filtered ? &*nursery.offered.filter : nullptr,
                           landlock_of(policy, entered, dirs, setup.config.chroot)));
  set_environment(setup.config, identity);
  php::apply_pool(php_settings(setup.config, policy, entered), log_php, &log);
  setup.self_link = std::move(nursery.self_link);
  setup.master = std::move(order.fds[position(order, kMaster)]);
  if (order.body.has_access_log != 0) setup.access_log = std::move(order.fds[kAccessLog]);
  order.fds.clear();
  return Pool::create(std::move(setup));
}

// Before anything else: all that the site ever uses is counted in its group.
Status join_site_group(ForkOrder& order, Group group) {
  if (order.body.has_group == 0) return {};
  const sys::Fd directory = std::move(order.fds[group_position(order)]);
  order.fds.erase(order.fds.begin() + static_cast<ptrdiff_t>(group_position(order)));
  order.body.has_group = 0;
  return group == Group::kBeganThere ? Status() : sandbox::join_group(directory);
}

}  // namespace

sys::FdRef group_of(const ForkOrder& order) {
  return order.body.has_group == 0 ? sys::FdRef() : sys::FdRef(order.fds[group_position(order)]);
}

bool is_complete(const ForkOrder& order) {
  const size_t fixed =
      kFixedFds - (order.body.has_access_log == 0 ? 1 : 0) + (order.body.has_group == 0 ? 0 : 1);
  return order.fds.size() == fixed + size_t{order.body.loops} * kFdsPerLoop;
}

Result<sandbox::SitePolicy> policy_of(const ForkOrder& order) {
  return read_policy(order.fds[kConfig], order.body.config_bytes);
}

int run_pool(ForkOrder order, Nursery& nursery, Group group) {
  // A terminal's signals are master's to hear.  A session of its own is also a scheduling group of
  // its own where the kernel makes groups by session (sched_autogroup, sched(7)).
  (void)::setsid();
  signal(SIGCHLD, SIG_DFL);
  sys::ignore_sigpipe();
  auto master = sys::FdRef(order.fds[position(order, kMaster)]);
  const sys::FdRef channel(dup(master.get()));  // to say why, should the start fail
  order.fds.emplace_back(channel.get());
  PoolLog log;
  const Status joined = join_site_group(order, group);
  auto pool = !joined ? Result<std::unique_ptr<Pool>>(std::unexpected(joined.error()))
                      : start_pool(order, nursery, log);
  if (!pool) {
    log.set_send([&](std::string_view payload) { tell_master(channel, ipc::Op::kLog, payload); });
    log.flush_waiting();
    tell_master(channel, ipc::Op::kPoolFailed, pool.error().describe());
    return 70;
  }
  return (*pool)->run();
}

}  // namespace bulkhead::pool
