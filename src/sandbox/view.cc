#include "sandbox/view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "config/pool_mail.h"
#include "sandbox/mount_points.h"
#include "sandbox/shown_trees.h"
#include "sys/directory.h"
#include "sys/mounts.h"

namespace bulkhead::sandbox {
namespace {

using sys::MountRules;
using sys::Submounts;

constexpr MountRules kReadOnly{.read_only = true}, kReadWrite{};
constexpr const char* kSystem[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
// What /proc would tell about others.  The rest of it is read-only.
constexpr const char* kProcMasks[] = {"/proc/keys", "/proc/key-users", "/proc/locks",
                                      "/proc/sysrq-trigger", "/proc/kcore"};
// Where a wide view has nothing to show.
constexpr const char* kWideMasks[] = {"/root", "/sys", "/boot"};
constexpr const char* kSockets[] = {"/run/mysqld"};

class View {
 public:
  View(const SitePolicy& policy, const sys::Identity& who, const BaseTree& base)
      : policy_(policy), who_(who), base_(base) {}

  Result<std::vector<Shown>> build(const std::vector<PrivateDir>& dirs) {
    ::umask(022);
    TRY_STATUS(sys::own_mount_namespace(sys::Propagation::kPrivate));
    TRY_STATUS(root());
    if (policy_.wide) {
      TRY_STATUS(wide_part());
    } else {
      TRY_STATUS(system_part());
    }
    TRY_STATUS(own_accounts());
    TRY_STATUS(private_part(dirs));
    TRY_STATUS(sockets());
    TRY_STATUS(mail());
    TRY_STATUS(trees());
    TRY_STATUS(proc());
    if (!policy_.wide) TRY_STATUS(sys::set_rules(root_, kReadOnly));
    TRY_STATUS(sys::change_root(root_));
    for (Shown& s : shown_) s.found.object.reset();  // of the machine's tree
    return std::move(shown_);
  }

 private:
  Result<sys::Fd> open_host(const std::string& path) {
    sys::Fd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return fail_errno("cannot open " + path);
    return fd;
  }
  Status mount_at(sys::FdRef source, Submounts with, const MountRules& rules,
                  const std::string& path, bool is_directory) {
    auto tree = sys::clone_tree(source, with, rules);
    if (!tree) return fail_errno(path + ": " + tree.error().text, tree.error().errno_value);
    return place(*tree, path, is_directory);
  }
  Status place(sys::FdRef tree, const std::string& path, bool is_directory) {
    const auto kind = is_directory ? PointKind::kDirectory : PointKind::kFile;
    // A wide view is the machine's own tree: nothing is made in it.
    const sys::Fd point =
        TRY(policy_.wide ? find_in_view(root_, path) : make_mount_point(root_, path, kind));
    if (auto done = sys::attach(tree, point); !done) {
      return fail_errno(path + ": " + done.error().text, done.error().errno_value);
    }
    return {};
  }
  // What root made itself, by its name.
  Status mount_known(const std::string& source, Submounts with, const MountRules& rules,
                     const std::string& path) {
    const sys::Fd fd = TRY(open_host(source));
    return mount_at(fd, with, rules, path, true);
  }

  Status root() {
    if (policy_.wide) {
      const sys::Fd host = TRY(open_host("/"));
      root_ = TRY(sys::clone_tree(host, Submounts::kWith, kReadWrite));
    } else {
      root_ = TRY(sys::new_file_system(
          "tmpfs", {{"mode", "0755"}, {"size", "1m"}, {"nr_inodes", "4096"}}, kReadWrite));
    }
    const sys::Fd place = TRY(open_host(base_.place));
    return sys::attach(root_, place);
  }

  // Programs, libraries, and the harmless part of /etc.
  Status system_part() {
    for (const char* path : kSystem) {
      auto fd = open_host(path);
      struct stat st {};
      if (!fd || ::fstat(fd->get(), &st) < 0) continue;
      if (S_ISLNK(st.st_mode)) {
        TRY_STATUS(copy_link(*fd, path));
      } else {
        TRY_STATUS(mount_at(*fd, Submounts::kWith, kReadOnly, path, true));
      }
    }
    TRY_STATUS(etc());
    for (const char* path : {"/run/lock", "/var/lib", "/var/cache", "/var/log", "/mnt", "/home",
                             "/srv", "/opt", "/root", "/proc"}) {
      (void)TRY(make_mount_point(root_, path, PointKind::kDirectory));
    }
    TRY_STATUS(make_link(root_, "/var/run", "/run"));
    return make_link(root_, "/var/lock", "/run/lock");
  }
  // One mount for all of it, unless something of the site's own lies in there: the common copy is
  // no place for another's mount points.
  Status etc() {
    const bool own = std::any_of(policy_.trees.begin(), policy_.trees.end(),
                                 [](const Tree& t) { return is_within(t.path, "/etc"); });
    if (!own) return mount_known(base_.etc, Submounts::kWithout, kReadOnly, "/etc");
    const sys::Fd from = TRY(open_host(base_.etc));
    for (const std::string& name : TRY(sys::names_in(from))) {
      const std::string path = "/etc/" + name;
      const sys::Fd fd(::openat(from.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      struct stat st {};
      if (!fd.valid() || ::fstat(fd.get(), &st) < 0) continue;
      if (S_ISLNK(st.st_mode)) {
        TRY_STATUS(copy_link(fd, path));
      } else if (name != "passwd" && name != "group") {
        TRY_STATUS(mount_at(fd, Submounts::kWithout, kReadOnly, path, S_ISDIR(st.st_mode)));
      }
    }
    return {};
  }
  Status copy_link(sys::FdRef link, const std::string& path) {
    char target[256];
    const ssize_t size = ::readlinkat(link.get(), "", target, sizeof target);
    if (size <= 0) return fail_errno("cannot read the link " + path);
    return make_link(root_, path, {target, static_cast<size_t>(size)});
  }
  // Files in /run, laid over those of the common /etc.
  Status own_accounts() {
    const sys::Fd run = TRY(make_mount_point(root_, "/run", PointKind::kDirectory));
    TRY_STATUS(write_file(run, ".passwd", passwd_text(who_)));
    TRY_STATUS(write_file(run, ".group", group_text(who_)));
    for (const char* name : {"passwd", "group"}) {
      const sys::Fd file = TRY(find_in_view(root_, std::string("/run/.") + name));
      TRY_STATUS(
          mount_at(file, Submounts::kWithout, kReadOnly, std::string("/etc/") + name, false));
    }
    return {};
  }

  // The machine's tree as it is, but for what others keep there.
  Status wide_part() {
    TRY_STATUS(mount_known(base_.etc, Submounts::kWithout, kReadOnly, "/etc"));
    const sys::Fd run = TRY(empty("0755"));
    TRY_STATUS(place(run, "/run", true));
    (void)TRY(make_mount_point(root_, "/run/mysqld", PointKind::kDirectory));
    TRY_STATUS(hide(policy_.state_root));
    for (const char* path : kWideMasks) TRY_STATUS(hide(path));
    return {};
  }
  static Result<sys::Fd> empty(const char* mode) {
    return sys::new_file_system("tmpfs", {{"mode", mode}, {"size", "256k"}, {"nr_inodes", "256"}},
                                kReadWrite);
  }

  // Lays nothing over a directory or a file of the view; what is not there is hidden already.
  Status hide(const std::string& path) {
    auto point = find_in_view(root_, path);
    if (!point) return {};
    struct stat st {};
    if (::fstat(point->get(), &st) < 0) return fail_errno("cannot ask about " + path);
    if (S_ISLNK(st.st_mode)) return {};
    if (S_ISDIR(st.st_mode)) {
      // Root's, and entered only where one of the site's own trees lies inside.  Otherwise whoever
      // tries hears "Permission denied", as from a directory that is there.
      const bool own = std::any_of(policy_.trees.begin(), policy_.trees.end(),
                                   [&](const Tree& t) { return is_within(t.path, path); });
      const sys::Fd nothing = TRY(empty(own ? "0711" : "0700"));
      return sys::attach(nothing, *point);
    }
    const sys::Fd null = TRY(find_in_view(root_, "/dev/null"));
    const sys::Fd tree = TRY(sys::clone_tree(null, Submounts::kWithout, kReadOnly));
    return sys::attach(tree, *point);
  }

  // The site's own part: on its disk, so that it counts as the site's.
  Status private_part(const std::vector<PrivateDir>& dirs) {
    TRY_STATUS(mount_known(base_.dev, Submounts::kWith,
                           {.read_only = true, .devices = true, .execute = false}, "/dev"));
    const sys::Fd pts = TRY(sys::new_file_system("devpts", {{"mode", "0620"}, {"ptmxmode", "0666"}},
                                                 {.devices = true, .execute = false}));
    TRY_STATUS(place(pts, "/dev/pts", true));
    TRY_STATUS(mount_known(policy_.state + "/shm", Submounts::kWithout, kReadWrite, "/dev/shm"));
    TRY_STATUS(mount_known(policy_.state + "/tmp", Submounts::kWithout, kReadWrite, "/tmp"));
    TRY_STATUS(
        mount_known(policy_.state + "/var-tmp", Submounts::kWithout, kReadWrite, "/var/tmp"));
    for (const PrivateDir& dir : dirs) {
      if (policy_.wide && !find_in_view(root_, dir.path)) continue;
      TRY_STATUS(
          mount_known(policy_.state + "/" + dir.name, Submounts::kWithout, kReadWrite, dir.path));
    }
    return {};
  }

  Status sockets() {
    for (const char* path : kSockets) {
      auto fd = open_host(path);
      if (!fd) continue;  // not running on this machine
      TRY_STATUS(mount_at(*fd, Submounts::kWithout, kReadOnly, path, true));
    }
    return {};
  }

  // sendmail, for PHP and for whoever calls it by its name: no setgid program works in a site.
  Status mail() {
    auto program = open_host(base_.sendmail);
    if (base_.sendmail.empty() || !program) return {};
    const sys::Fd place = TRY(make_mount_point(root_, config::kMailPlace, PointKind::kDirectory));
    std::string options;
    for (const std::string& option : policy_.mail) options += option + "\n";
    TRY_STATUS(write_file(place, "options", options));
    (void)TRY(make_mount_point(root_, config::kMailProgram, PointKind::kFile));
    TRY_STATUS(mount_at(*program, Submounts::kWithout, kReadOnly, config::kMailProgram, false));
    if (!base_.sbin.empty()) {
      return mount_known(base_.sbin, Submounts::kWithout, kReadOnly, "/usr/sbin");
    }
    auto theirs = find_in_view(root_, "/usr/sbin/sendmail");
    if (!theirs) return {};
    const sys::Fd ours = TRY(sys::clone_tree(*program, Submounts::kWithout, kReadOnly));
    return sys::attach(ours, *theirs);
  }

  Status trees() {
    ShownTrees shown = TRY(resolve_trees(policy_, who_.uid));
    for (const Link& link : shown.links) {
      if (policy_.wide || is_within(link.path, "/usr")) continue;
      TRY_STATUS(make_link(root_, link.path, link.target));
    }
    for (const Shown& s : shown.trees) TRY_STATUS(show(s));
    shown_ = std::move(shown.trees);
    return {};
  }
  Status show(const Shown& s) {
    if (!s.hidden) {
      return mount_at(s.found.object, Submounts::kWith, s.read_only ? kReadOnly : kReadWrite,
                      s.found.path, s.found.is_directory);
    }
    auto done = hide(s.found.path);
    if (done) return {};
    return fail_errno("cannot hide " + s.found.path + ": " + done.error().text,
                      done.error().errno_value);
  }

  // Of the pid namespace we are the first process of; without one, others' processes are hidden.
  Status proc() {
    constexpr MountRules kProc{.read_only = true, .execute = false};
    const sys::Fd tree = TRY(policy_.wants(Layer::kPid)
                                 ? sys::new_file_system("proc", {}, kProc)
                                 : sys::new_file_system("proc", {{"hidepid", "invisible"}}, kProc));
    TRY_STATUS(place(tree, "/proc", true));
    for (const char* path : kProcMasks) TRY_STATUS(hide(path));
    return {};
  }

  const SitePolicy& policy_;
  const sys::Identity& who_;
  const BaseTree& base_;
  sys::Fd root_;
  std::vector<Shown> shown_;
};

}  // namespace

Result<std::vector<Shown>> enter_view(const SitePolicy& policy, const sys::Identity& who,
                                      const BaseTree& base, const std::vector<PrivateDir>& dirs) {
  return View(policy, who, base).build(dirs);
}

}  // namespace bulkhead::sandbox
