#include "sandbox/confine_front.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sanitized.h"
#include "sandbox/capabilities.h"
#include "sandbox/keyring.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"
#include "sys/process.h"

namespace bulkhead::sandbox {
namespace {

Result<std::vector<std::string>> forget_paths() {
  if (landlock_abi() == 0) {
    return std::vector<std::string>{
        "this kernel has no Landlock; front's empty root and its system call filter hold alone"};
  }
  LandlockRules rules;
  if (kSanitized) rules.paths.push_back({"/", PathRule::kReadWrite});
  TRY_STATUS(restrict_by_landlock(rules));
  return std::vector<std::string>{};
}

Status lose_rights(const FrontConfinement& how) {
  TRY_STATUS(bound_capabilities());
  if (how.identity) TRY_STATUS(sys::become(*how.identity));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_SET_NO_NEW_PRIVS) failed");
  }
  TRY_STATUS(drop_capabilities());
  return new_session_keyring();
}

}  // namespace

Status enter_empty_root() {
  // Any directory will do to mount upon: nobody else sees it.
  constexpr const char* kPlaces[] = {"/tmp", "/proc", "/dev", "/usr"};
  if (::unshare(CLONE_NEWNS) < 0) return fail_errno("unshare(CLONE_NEWNS) failed");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return fail_errno("making the mounts private failed");
  }
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  for (const char* place : kPlaces) {
    if (::mount("empty", place, "tmpfs", kFlags, "size=4k,nr_inodes=1,mode=0555") < 0) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
      return fail_errno("mounting an empty directory on " + std::string(place) + " failed");
    }
    if (::chdir(place) < 0) return fail_errno("chdir(" + std::string(place) + ") failed");
    // The old root is put on top of the new one, and taken off again.
    if (::syscall(SYS_pivot_root, ".", ".") < 0) return fail_errno("pivot_root() failed");
    if (::umount2(".", MNT_DETACH) < 0) return fail_errno("detaching the old root failed");
    if (::chdir("/") < 0) return fail_errno("chdir(/) failed");
    return {};
  }
  return fail("no directory to mount an empty one upon");
}

Result<std::vector<std::string>> confine_front(const FrontConfinement& how) {
  std::vector<std::string> notes;
  if (sys::is_root() && !kSanitized) {
    if (Status entered = enter_empty_root(); !entered) {
      notes.push_back("front has no empty root: " + entered.error().describe());
    }
  }
  TRY_STATUS(lose_rights(how));
  for (std::string& note : TRY(forget_paths())) notes.push_back(std::move(note));
  if (::prctl(PR_SET_DUMPABLE, how.dumpable ? 1 : 0, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_SET_DUMPABLE) failed");
  }
  Filter filter = TRY(Filter::for_front());
  TRY_STATUS(install(filter));
  BH_CHECK(!how.identity || !sys::is_root());
  return notes;
}

}  // namespace bulkhead::sandbox
