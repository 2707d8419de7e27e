// How a site's user comes in by OpenSSH: sftp into its home, or a shell inside its sandbox.
//
// Runs in: bulkhead-site (root).  Ref: sshd_config(5) of OpenSSH 9.2: Match, ForceCommand,
// AcceptEnv.
#include <pwd.h>

#include "master/control_socket.h"
#include "sites/server.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/process.h"

namespace bulkhead::sites {
namespace {

constexpr const char* kNoShell = "/usr/sbin/nologin";
constexpr const char* kShell = "/bin/sh";  // of sshd, for ForceCommand alone

// What runs in the sandbox; $1 is what the client asked for.
constexpr const char* kInside =
    R"('case "$1" in "") [ -x /bin/bash ] && exec /bin/bash -l; exec /bin/sh -l ;; )"
    R"(internal-sftp|internal-sftp\ *|/usr/lib/openssh/sftp-server|/usr/lib/sftp-server) )"
    R"(exec /usr/lib/openssh/sftp-server -u 0027 ;; *) exec /bin/sh -c "$1" ;; esac')";

std::string login_shell(const std::string& user) {
  const passwd* entry = ::getpwnam(user.c_str());
  std::string shell = entry != nullptr ? entry->pw_shell : kNoShell;
  ::endpwent();
  return shell;
}

bool lets_in(const std::string& shell) {
  return !shell.ends_with("/nologin") && !shell.ends_with("/false");
}

// The shell of an account that somebody else made is his.
Status plan_login_shell(const Record& record, Plan* plan) {
  const std::string now = login_shell(record.user);
  if (!record.own_user) {
    if (!record.shell || lets_in(now)) return {};
    return fail("user " + record.user + " has no login shell (" + now +
                "), and site add did not make it: usermod --shell /bin/sh " + record.user);
  }
  const std::string wanted = record.shell ? kShell : kNoShell;
  if (now != wanted) plan->add(shell_step(record.user, now, wanted));
  return {};
}

Result<std::string> drop_in(const Places& places, const Record& record) {
  std::string text = "# Site " + record.name + ": ";
  if (record.shell) {
    // The client chooses nothing that runs outside of the sandbox, environment included.
    text += "a shell, commands and sftp inside its sandbox.\nMatch User " + record.user +
            "\n    ForceCommand exec " + sys::program_directory() + "/bulkhead exec --control " +
            master::control_path(TRY(pid_path(places))) + " --env TERM --env LANG " + record.name +
            " -- /bin/sh -c " + kInside + " sh \"$SSH_ORIGINAL_COMMAND\"\n" +
            "    PermitTTY yes\n    PermitUserRC no\n    AcceptEnv LANG\n";
  } else {
    text += "files by sftp within its own home, nothing else.\nMatch User " + record.user +
            "\n    ChrootDirectory " + record.home +
            "\n    ForceCommand internal-sftp -u 0027\n    PermitTTY no\n";
  }
  return text + "    AuthorizedKeysFile " + places.keys(record.user) +
         "\n    AllowTcpForwarding no\n    AllowStreamLocalForwarding no\n"
         "    AllowAgentForwarding no\n    X11Forwarding no\n    PermitTunnel no\n"
         "Match all\n";
}

}  // namespace

Status plan_ssh(const Common& common, const Record& record, const std::string& keys, Plan* plan) {
  const Places& places = common.places;
  if (!keys.empty()) {
    TRY_STATUS(plan->add(write_step(places.keys(record.user), keys, {0640, record.user, ""})));
  }
  if (!record.comes_in()) return {};
  const std::string main = places.ssh + "/sshd_config";
  if (!exists(main)) {
    return fail("there is no " + main +
                ": install openssh-server, or leave --sftp and --shell out");
  }
  if (record.shell && !record.has_pool) {
    return fail("a static site has no sandbox to open a shell in: --sftp is for it");
  }
  // It has a login shell only while sshd knows that it is to be confined.
  if (!record.shell) TRY_STATUS(plan_login_shell(record, plan));
  plan->add(sshd_back_step(places));
  TRY_STATUS(plan->add(write_step(places.sshd(record.user), TRY(drop_in(places, record)))));
  plan->add(sshd_step(places, record.user, record.shell ? "exec " : "internal-sftp"));
  if (record.shell) TRY_STATUS(plan_login_shell(record, plan));
  return {};
}

Status plan_no_ssh(const Common& common, const Record& record, Keys keys, Plan* plan) {
  const Places& places = common.places;
  if (keys == Keys::kRemove && exists(places.keys(record.user))) {
    TRY_STATUS(plan->add(delete_step(places.keys(record.user))));
  }
  if (!exists(places.sshd(record.user))) return {};
  Record without = record;
  without.sftp = without.shell = false;
  TRY_STATUS(plan_login_shell(without, plan));
  plan->add(sshd_back_step(places));
  TRY_STATUS(plan->add(delete_step(places.sshd(record.user))));
  plan->add(sshd_step(places, "", ""));
  return {};
}

}  // namespace bulkhead::sites
