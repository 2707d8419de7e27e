#include "sys/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace bulkhead::sys {
namespace {

uint64_t attributes(const MountRules& rules) {
  return MOUNT_ATTR_NOSUID | (rules.read_only ? MOUNT_ATTR_RDONLY : 0) |
         (rules.devices ? 0 : MOUNT_ATTR_NODEV) | (rules.execute ? 0 : MOUNT_ATTR_NOEXEC);
}

Status set_attributes(FdRef tree, const MountRules& rules, unsigned flags, uint64_t propagation) {
  mount_attr attr{};
  attr.attr_set = attributes(rules);
  attr.propagation = propagation;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | flags, &attr, sizeof attr) < 0) {
    return fail_errno("mount_setattr() failed");
  }
  return {};
}

}  // namespace

Result<Fd> clone_tree(FdRef at, Submounts submounts, const MountRules& rules) {
  const unsigned depth = submounts == Submounts::kWith ? AT_RECURSIVE : 0;
  Fd tree(::open_tree(at.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth));
  if (!tree.valid()) return fail_errno("open_tree() failed");
  TRY_STATUS(set_attributes(tree, rules, depth, MS_PRIVATE));
  return tree;
}

Result<Fd> new_file_system(const char* type,
                           std::initializer_list<std::pair<const char*, const char*>> options,
                           const MountRules& rules) {
  Fd context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context.valid()) return fail_errno(std::string("fsopen(") + type + ") failed");
  for (const auto& [name, value] : options) {
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, name, value, 0) < 0) {
      return fail_errno(std::string("fsconfig(") + type + ", " + name + ") failed");
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
    return fail_errno(std::string("cannot make a file system of type ") + type);
  }
  Fd tree(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes(rules))));
  if (!tree.valid()) return fail_errno(std::string("fsmount(") + type + ") failed");
  return tree;
}

Status attach(FdRef tree, FdRef target) {
  if (::move_mount(tree.get(), "", target.get(), "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    return fail_errno("move_mount() failed");
  }
  return {};
}

Status set_rules(FdRef mount, const MountRules& rules) {
  return set_attributes(mount, rules, 0, 0);
}

Status own_mount_namespace(Propagation propagation) {
  if (::unshare(CLONE_NEWNS) < 0) return fail_errno("unshare(CLONE_NEWNS) failed");
  const unsigned long how = propagation == Propagation::kSlave ? MS_SLAVE : MS_PRIVATE;
  if (::mount(nullptr, "/", nullptr, MS_REC | how, nullptr) < 0) {
    return fail_errno("mount(\"/\", private) failed");
  }
  return {};
}

// The old root lands on top of the new one and is let go from there: no directory is needed for
// it.  Ref: pivot_root(2), "pivot_root(".", ".")".
Status change_root(FdRef root) {
  if (::fchdir(root.get()) < 0) return fail_errno("fchdir() to the new root failed");
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return fail_errno("pivot_root() failed");
  if (::umount2(".", MNT_DETACH) < 0) return fail_errno("umount2() of the old root failed");
  if (::chdir("/") < 0) return fail_errno("chdir(\"/\") failed");
  return {};
}

}  // namespace bulkhead::sys
