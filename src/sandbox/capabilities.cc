#include "sandbox/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

namespace bulkhead::sandbox {
namespace {

// Not SECBIT_NO_SETUID_FIXUP: becoming the user is to take the rest away.
constexpr unsigned long kSecureBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                      SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
constexpr int kCapabilitiesMax = 64;  // two words of the system call

struct Sets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
};

Result<bool> holds(int capability) {
  Sets sets;
  if (::syscall(SYS_capget, &sets.header, sets.data) < 0) return fail_errno("capget() failed");
  return (sets.data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

// Also what this kernel knows and our headers do not: until the kernel says that there is no such.
Status empty_bounding_set() {
  for (int capability = 0; capability < kCapabilitiesMax; ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) return {};
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      return fail_errno("prctl(PR_CAPBSET_DROP, " + std::to_string(capability) + ") failed");
    }
  }
  return {};
}

}  // namespace

Status bound_capabilities() {
  if (!TRY(holds(CAP_SETPCAP))) return {};
  TRY_STATUS(empty_bounding_set());
  if (::prctl(PR_SET_SECUREBITS, kSecureBits, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_SET_SECUREBITS) failed");
  }
  return {};
}

Status drop_capabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    return fail_errno("prctl(PR_CAP_AMBIENT_CLEAR_ALL) failed");
  }
  Sets none;
  if (::syscall(SYS_capset, &none.header, none.data) < 0) return fail_errno("capset() failed");
  Sets left;
  if (::syscall(SYS_capget, &left.header, left.data) < 0) return fail_errno("capget() failed");
  for (const auto& word : left.data) {
    if ((word.effective | word.permitted | word.inheritable) != 0) {
      return fail("capabilities remain after they were given up");
    }
  }
  return {};
}

}  // namespace bulkhead::sandbox
