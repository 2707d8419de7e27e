#include "sandbox/policy.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/capabilities.h"
#include "sandbox/keyring.h"
#include "sys/process.h"
#include "sys/rlimit.h"

namespace bulkhead::sandbox {

Status apply(const Policy& policy) {
  if (policy.nofile) TRY_STATUS(sys::set_nofile(*policy.nofile));
  if (policy.core_bytes) TRY_STATUS(sys::set_core_size(*policy.core_bytes));
  if (policy.nice && ::setpriority(PRIO_PROCESS, 0, *policy.nice) < 0) {
    return fail_errno("setpriority(" + std::to_string(*policy.nice) + ") failed");
  }
  if (!policy.chroot.empty()) {
    if (::chroot(policy.chroot.c_str()) < 0) {
      return fail_errno("failed to chroot(" + policy.chroot + ")");
    }
    if (::chdir("/") < 0) return fail_errno("failed to chdir(/)");
  }
  if (policy.umask) ::umask(*policy.umask);
  if (policy.no_capabilities) TRY_STATUS(bound_capabilities());
  if (policy.identity) TRY_STATUS(sys::become(*policy.identity));
  if (policy.no_capabilities) {
    TRY_STATUS(drop_capabilities());
    TRY_STATUS(new_session_keyring());
  }
  if (policy.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_SET_NO_NEW_PRIVS) failed");
  }
  if (policy.landlock) TRY_STATUS(restrict_by_landlock(*policy.landlock));
  if (::prctl(PR_SET_DUMPABLE, policy.dumpable ? 1 : 0, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_SET_DUMPABLE) failed");
  }
  // As the site's user: what it may not enter, it does not start in.
  if (!policy.chdir.empty() && ::chdir(policy.chdir.c_str()) < 0) {
    return fail_errno("failed to chdir(" + policy.chdir + ")");
  }
  return policy.filter != nullptr ? install(*policy.filter) : Status{};
}

}  // namespace bulkhead::sandbox
