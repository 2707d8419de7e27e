// See cgroup.h.
#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/cgroup_disks.h"
#include "sandbox/cgroup_files.h"
#include "sandbox/cgroup_find.h"
#include "sys/files.h"

namespace bulkhead::sandbox {
namespace {

constexpr mode_t kMode = 0755;
constexpr int kServersMax = 64;  // servers of one machine: "bulkhead", "bulkhead-2", ...
constexpr int kLeftoverRounds = 100, kLeftoverPause_ms = 20;
constexpr const char* kServerLeaf = "server";  // where we go when our own group is divided
constexpr const char* kFront = "front";
// A site has the kernel's default, 100.  Front spends a few microseconds on each request of any
// site; ten sites that compute shall not make it wait, and it shall not outweigh a hundred.
constexpr const char* kFrontWeight = "1000";
constexpr uint64_t kCpuPeriod_us = 100'000;  // the kernel's default

struct ControllerName {
  Controller controller;
  const char* name;     // in cgroup.controllers
  const char* meaning;  // the directive
};
constexpr ControllerName kControllers[] = {{Controller::kMemory, "memory", "memory"},
                                           {Controller::kCpu, "cpu", "cpu"},
                                           {Controller::kTasks, "pids", "tasks"},
                                           {Controller::kIo, "io", "io"}};

bool has_word(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || text[at - 1] == ' ';
    const size_t end = at + word.size();
    if (starts && (end == text.size() || text[end] == ' ' || text[end] == '\n')) return true;
  }
  return false;
}

uint8_t enabled_in(sys::FdRef directory) {
  const std::string names = read_group_file(directory, "cgroup.subtree_control");
  uint8_t set = 0;
  for (const ControllerName& one : kControllers) {
    if (has_word(names, one.name)) set |= static_cast<uint8_t>(one.controller);
  }
  return set;
}

// Each by itself: one that cannot be had must not cost the others.
void enable_controllers(sys::FdRef directory) {
  const std::string there = read_group_file(directory, "cgroup.controllers");
  for (const ControllerName& one : kControllers) {
    if (has_word(there, one.name)) {
      (void)write_group_file(directory, "cgroup.subtree_control", "+" + std::string(one.name));
    }
  }
}

bool is_delegated(const std::string& path) {
  char value[8];
  for (const char* name : {"trusted.delegate", "user.delegate"}) {
    if (::getxattr(path.c_str(), name, value, sizeof value) >= 1 && value[0] == '1') return true;
  }
  return false;
}

// A group that is divided may hold no process itself.
Status leave_base(sys::FdRef base) {
  if (::mkdirat(base.get(), kServerLeaf, kMode) < 0 && errno != EEXIST) {
    return fail_errno("mkdir(" + std::string(kServerLeaf) + ") failed");
  }
  const sys::Fd leaf = TRY(open_group(base, kServerLeaf));
  return write_group_file(leaf, "cgroup.procs", "0");
}

bool is_same_directory(sys::FdRef base, const char* name, sys::FdRef opened) {
  struct stat of_name {
  }, of_opened{};
  return ::fstatat(base.get(), name, &of_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstat(opened.get(), &of_opened) == 0 && of_name.st_ino == of_opened.st_ino;
}

// The lock is held as long as the server lives: master's descriptors are inherited by nobody.
bool lock(sys::FdRef base, const char* name, sys::FdRef directory) {
  return ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0 &&
         is_same_directory(base, name, directory);
}

void pause_for_leftovers() {
  const timespec pause{0, kLeftoverPause_ms * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

// What a server that was killed has left in a group that we have locked.
Status clear_group(sys::FdRef directory) {
  if (child_groups(directory).empty()) return {};
  TRY_STATUS(kill_group(directory));
  for (int round = 0; round < kLeftoverRounds; ++round) {
    bool empty = true;
    for (const std::string& child : child_groups(directory)) {
      empty = remove_group(directory, child.c_str()) && empty;
    }
    if (empty) return {};
    pause_for_leftovers();
  }
  return fail("processes of an earlier server do not end");
}

std::string server_name(int number) {
  return number == 1 ? "bulkhead" : "bulkhead-" + std::to_string(number);
}

}  // namespace

std::string controller_names(uint8_t set) {
  std::string out;
  for (const ControllerName& one : kControllers) {
    if ((set & static_cast<uint8_t>(one.controller)) == 0) continue;
    out += (out.empty() ? "" : ", ") + std::string(one.meaning);
  }
  return out;
}

Status join_group(sys::FdRef group) { return join_group(group, 0); }

Status join_group(sys::FdRef group, pid_t pid) {
  const std::string number = std::to_string(pid);
  const sys::Fd procs(::openat(group.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  if (!procs.valid() || ::write(procs.get(), number.data(), number.size()) < 0) {
    return fail_errno("putting process " + number + " into the site's cgroup failed");
  }
  return {};
}

Status RunGroup::kill() { return kill_group(directory_); }

bool RunGroup::remove() { return remove_group(site_, name_.c_str()); }

Status SiteGroup::limit(const config::PoolLimits& limits) {
  Status first;
  auto set = [&](const char* file, const std::string& value, bool may_miss = false) {
    Status done = write_group_file(directory_, file, value);
    if (!done && may_miss && done.error().errno_value == ENOENT) return;
    if (!done && first) first = std::move(done);
  };
  auto has = [&](Controller c) { return (controllers_ & static_cast<uint8_t>(c)) != 0; };
  if (has(Controller::kMemory)) {
    // One process out of memory ends the site's run as a whole: half a site is no site.
    set("memory.oom.group", "1", true);
    set("memory.swap.max", limits.memory_bytes ? "0" : "max", true);
    set("memory.max", limits.memory_bytes ? std::to_string(*limits.memory_bytes) : "max");
  }
  if (has(Controller::kCpu)) {
    const std::string quota =
        limits.cpu_percent ? std::to_string(*limits.cpu_percent * kCpuPeriod_us / 100) : "max";
    set("cpu.max", quota + " " + std::to_string(kCpuPeriod_us), true);
  }
  if (has(Controller::kTasks)) set("pids.max", std::to_string(limits.tasks));
  if (has(Controller::kIo)) {
    for (const std::string& disk : disks()) {
      Status done = write_group_file(directory_, "io.max", io_limit_line(disk, limits));
      // A disk that is gone again, or that the kernel does not throttle.
      const int why = done ? 0 : done.error().errno_value;
      if (why != 0 && why != ENODEV && why != EOPNOTSUPP && why != ENOENT && first) {
        first = std::move(done);
      }
    }
  }
  return first;
}

Result<std::unique_ptr<RunGroup>> SiteGroup::begin_run(uint32_t number) {
  std::string name = "run-" + std::to_string(number);
  if (::mkdirat(directory_.get(), name.c_str(), kMode) < 0) {
    return fail_errno("mkdir(" + name_ + "/" + name + ") failed");
  }
  sys::Fd directory = TRY(open_group(directory_, name.c_str()));
  sys::Fd site = TRY(sys::duplicate(directory_));
  return std::make_unique<RunGroup>(std::move(site), std::move(name), std::move(directory));
}

uint64_t SiteGroup::memory_ends() const {
  const std::string text = read_group_file(directory_, "memory.events");
  const std::string key = "oom_kill ";
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') {
      return std::strtoull(text.c_str() + at + key.size(), nullptr, 10);
    }
  }
  return 0;
}

bool SiteGroup::remove() { return remove_group(tree_, name_.c_str()); }

Result<GroupTree::Place> GroupTree::find_place() {
  const std::string mounts = TRY(sys::read_file("/proc/self/mountinfo"));
  const std::string groups = TRY(sys::read_file("/proc/self/cgroup"));
  const GroupPlace place = TRY(find_groups(mounts, groups));
  std::string own = place.own;
  // Started by a server that had moved here already (a new binary, `bulkhead` upgraded).
  const std::string leaf = std::string("/") + kServerLeaf;
  if (own.ends_with(leaf)) own.resize(own.size() - leaf.size());
  if (!own.empty() && is_delegated(place.mount + own)) return Place{place.mount + own, true};
  return Place{place.mount, false};
}

Result<GroupTree> GroupTree::create(const Place& place) {
  sys::Fd base(::open(place.base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return fail_errno("open(" + place.base + ") failed");
  if (place.is_own) TRY_STATUS(leave_base(base));
  sys::Fd ours;
  std::string our_name;
  for (int number = 1; number <= kServersMax; ++number) {
    const std::string name = server_name(number);
    const bool is_made = !ours.valid() && ::mkdirat(base.get(), name.c_str(), kMode) == 0;
    if (!ours.valid() && !is_made && errno != EEXIST) {
      return fail_errno("mkdir(" + place.base + "/" + name + ") failed");
    }
    auto directory = open_group(base, name.c_str());
    if (!directory || !lock(base, name.c_str(), *directory)) continue;
    if (ours.valid()) {  // one that nobody owns any more
      if (clear_group(*directory)) (void)remove_group(base, name.c_str());
      continue;
    }
    ours = std::move(*directory);
    our_name = name;
  }
  if (!ours.valid()) return fail("every group of " + place.base + "/bulkhead* is in use");
  TRY_STATUS(clear_group(ours));
  GroupTree tree(std::move(base), std::move(ours), our_name, place.base + "/" + our_name);
  enable_controllers(tree.base_);
  enable_controllers(tree.directory_);
  tree.controllers_ = enabled_in(tree.directory_);
  return tree;
}

Result<std::unique_ptr<SiteGroup>> GroupTree::make_site(std::string_view site) {
  std::string name = group_name(site);
  if (::mkdirat(directory_.get(), name.c_str(), kMode) < 0 && errno != EEXIST) {
    return fail_errno("mkdir(" + path_ + "/" + name + ") failed");
  }
  sys::Fd directory = TRY(open_group(directory_, name.c_str()));
  sys::Fd tree = TRY(sys::duplicate(directory_));
  return std::make_unique<SiteGroup>(std::move(tree), std::move(name), std::move(directory),
                                     controllers_);
}

Result<sys::Fd> GroupTree::make_front() {
  if ((controllers_ & static_cast<uint8_t>(Controller::kCpu)) == 0) return sys::Fd();
  if (::mkdirat(directory_.get(), kFront, kMode) < 0 && errno != EEXIST) {
    return fail_errno("mkdir(" + path_ + "/" + kFront + ") failed");
  }
  sys::Fd directory = TRY(open_group(directory_, kFront));
  TRY_STATUS(write_group_file(directory, "cpu.weight", kFrontWeight));
  // Only some block schedulers know weights.
  (void)write_group_file(directory, "io.weight", kFrontWeight);
  return directory;
}

void GroupTree::remove() {
  if (directory_.valid()) (void)remove_group(base_, name_.c_str());
}

}  // namespace bulkhead::sandbox
