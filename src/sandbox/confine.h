// Puts a fresh process behind the site's walls, in the order that works: namespaces and view here,
// while it is root; the rest by apply() (policy.h), which gives root up.
//
// Runs in: a fresh pool.  Input: the site's policy (trusted).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/base_tree.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"
#include "sandbox/site_policy.h"
#include "sandbox/view.h"
#include "sys/users.h"

namespace bulkhead::sandbox {

// What the machine offers to every site; found out once, by the zygote.
struct Offered {
  std::optional<BaseTree> base;  // unset: no view; why says why
  bool pid_namespace = false;
  std::optional<Filter> filter;  // unset: the kernel has no seccomp filters
  std::string why;
  std::string sendmail;  // path of bulkhead-sendmail; "" when it is not there
};

// Where a process has got to.
struct Entered {
  bool in_view = false;
  std::vector<Shown> trees;
  std::string sendmail;  // the path that it has from here, or ""
  sys::Fd proc;          // O_PATH: Landlock's look-ups by name refuse the kernel's own file systems
};

// Enters the namespaces and the view that the policy wants and the machine offers.  Without root
// nothing is entered.  Errors: a tree that must be there is not; `strict` and a layer is missing.
Result<Entered> enter(const SitePolicy& policy, const Offered& offered, const sys::Identity& who,
                      const std::vector<PrivateDir>& dirs);

// What Landlock allows: the same as the view shows, by itself.  `chroot`: of the pool, or "".
[[nodiscard]] LandlockRules landlock_rules(const SitePolicy& policy, const Entered& entered,
                                           const std::vector<PrivateDir>& dirs,
                                           const std::string& chroot);
// For bulkhead-files: reading by the rule for links, writing where bodies and logs go, no program
// but its own libraries.
[[nodiscard]] std::optional<LandlockRules> opener_rules(const SitePolicy& policy,
                                                        const Entered& entered);

}  // namespace bulkhead::sandbox
