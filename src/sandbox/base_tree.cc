#include "sandbox/base_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "config/pool_mail.h"
#include "sys/mounts.h"

namespace bulkhead::sandbox {
namespace {

struct Device {
  const char* name;
  unsigned major, minor;
};
// Ref: Linux Documentation/admin-guide/devices.txt.
constexpr Device kDevices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                               {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
constexpr std::pair<const char*, const char*> kLinks[] = {{"fd", "/proc/self/fd"},
                                                          {"stdin", "/proc/self/fd/0"},
                                                          {"stdout", "/proc/self/fd/1"},
                                                          {"stderr", "/proc/self/fd/2"},
                                                          {"ptmx", "pts/ptmx"}};
constexpr sys::MountRules kOpen{};

Result<sys::Fd> open_dir(sys::FdRef at, const char* name) {
  sys::Fd fd(::openat(at.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(std::string("cannot open ") + name);
  return fd;
}

Result<sys::Fd> make_dir(sys::FdRef at, const char* name, mode_t mode) {
  if (::mkdirat(at.get(), name, mode) < 0 && errno != EEXIST) {
    return fail_errno(std::string("cannot make ") + name);
  }
  return open_dir(at, name);
}

// A node of our own; where the machine does not let us make one (a container), its own node.
Status make_device(sys::FdRef dev, const Device& device) {
  const dev_t number = ::makedev(device.major, device.minor);
  if (::mknodat(dev.get(), device.name, S_IFCHR | 0666, number) == 0) {
    if (::fchmodat(dev.get(), device.name, 0666, 0) == 0) return {};
    return fail_errno(std::string("cannot change /dev/") + device.name);
  }
  if (errno != EPERM) return fail_errno(std::string("cannot make /dev/") + device.name);
  sys::Fd node(::open((std::string("/dev/") + device.name).c_str(), O_PATH | O_CLOEXEC));
  sys::Fd point(::openat(dev.get(), device.name, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!node.valid() || !point.valid()) return fail_errno(std::string("no /dev/") + device.name);
  sys::Fd tree = TRY(sys::clone_tree(node, sys::Submounts::kWithout, {.devices = true}));
  sys::Fd target(::openat(dev.get(), device.name, O_PATH | O_CLOEXEC));
  return sys::attach(tree, target);
}

Status fill_dev(sys::FdRef dev) {
  for (const Device& device : kDevices) TRY_STATUS(make_device(dev, device));
  for (const auto& [name, target] : kLinks) {
    if (::symlinkat(target, dev.get(), name) < 0) {
      return fail_errno(std::string("cannot make /dev/") + name);
    }
  }
  for (const char* name : {"pts", "shm"}) (void)TRY(make_dir(dev, name, 0755));
  return {};
}

Result<sys::Fd> mount_small(sys::FdRef at, const char* name, const char* size,
                            const sys::MountRules& rules) {
  sys::Fd point = TRY(make_dir(at, name, 0755));
  sys::Fd tree = TRY(sys::new_file_system("tmpfs", {{"mode", "0755"}, {"size", size}}, rules));
  TRY_STATUS(sys::attach(tree, point));
  return tree;
}

// No file can be made in the machine's own /usr/sbin, and what lies there may be a link to a
// program that sites use by another name.  Errors: this kernel has no overlayfs.
Status mount_sbin(sys::FdRef top, const std::string& base, BaseTree* out) {
  struct stat st {};
  if (::lstat("/usr/sbin/sendmail", &st) == 0 && S_ISREG(st.st_mode)) return {};
  const sys::Fd names = TRY(make_dir(top, "sbin-names", 0755));
  if (::symlinkat(config::kMailProgram, names.get(), "sendmail") < 0)
    return fail_errno("symlinkat()");
  const std::string layers = base + "sbin-names:/usr/sbin";
  const sys::Fd tree = TRY(sys::new_file_system(
      "overlay", {{"source", "bulkhead"}, {"lowerdir", layers.c_str()}}, {.read_only = true}));
  const sys::Fd point = TRY(make_dir(top, "sbin", 0755));
  TRY_STATUS(sys::attach(tree, point));
  out->sbin = base + "sbin";
  return {};
}

}  // namespace

Result<BaseTree> BaseTree::create(const std::string& state_root, const std::string& sendmail) {
  const mode_t kept = ::umask(0);
  struct Restore {
    mode_t mask;
    ~Restore() { ::umask(mask); }
  } restore{kept};
  TRY_STATUS(sys::own_mount_namespace(sys::Propagation::kSlave));
  sys::Fd state(::open(state_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!state.valid()) return fail_errno("cannot open the state directory " + state_root);
  sys::Fd top = TRY(mount_small(state, "base", "1m", kOpen));
  const sys::Fd dev = TRY(mount_small(top, "dev", "1m", {.devices = true, .execute = false}));
  TRY_STATUS(fill_dev(dev));
  const sys::Fd etc = TRY(mount_small(top, "etc", "16m", kOpen));
  sys::Fd source(::open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!source.valid()) return fail_errno("cannot open /etc");
  TRY_STATUS(copy_etc(source, etc));
  (void)TRY(make_dir(top, "view", 0755));
  const std::string base = state_root + "/base/";
  BaseTree out{base + "etc", base + "dev", sendmail, "", base + "view"};
  if (auto done = mount_sbin(top, base, &out); !sendmail.empty() && !done) {
    std::fprintf(stderr, "sandbox: sites have no /usr/sbin/sendmail: %s\n",
                 done.error().describe().c_str());
  }
  return out;
}

}  // namespace bulkhead::sandbox
