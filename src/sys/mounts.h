// Mounts as descriptors: trees are cloned, given attributes and attached by descriptor, so that no
// path is looked up a second time after it was judged.
//
// Runs in: zygote (its base tree), a fresh pool as root (its view), a files process before its user
// changes.  Input: descriptors and constant names.
// Ref: open_tree(2), move_mount(2), mount_setattr(2), fsopen(2): Linux >= 5.2, mount_setattr 5.12.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

enum class Submounts : uint8_t { kWithout, kWith };

// What a mount allows; nosuid is always set.
struct MountRules {
  bool read_only = false, devices = false, execute = true;
};

// A detached copy of the mount tree at `at` (a directory or file opened with O_PATH), private to
// whoever attaches it.  Errors: EPERM without CAP_SYS_ADMIN; EINVAL for a mount of another
// namespace.
[[nodiscard]] Result<Fd> clone_tree(FdRef at, Submounts submounts, const MountRules& rules);
// A detached new file system ("tmpfs", "proc", "devpts") with its options.
[[nodiscard]] Result<Fd> new_file_system(
    const char* type, std::initializer_list<std::pair<const char*, const char*>> options,
    const MountRules& rules);
// Puts a detached tree over `target` (O_PATH; a directory over a directory, a file over a file).
Status attach(FdRef tree, FdRef target);
// Changes an attached mount.
Status set_rules(FdRef mount, const MountRules& rules);

// A mount namespace of this process's own.  kSlave: what the machine mounts later still arrives.
enum class Propagation : uint8_t { kPrivate, kSlave };
Status own_mount_namespace(Propagation propagation);
// Makes `root` (the root of an attached mount) this process's root and current directory, and lets
// go of the old root.
Status change_root(FdRef root);

}  // namespace bulkhead::sys
