// Steps: Linux users of sites, and their processes.
//
// Runs in: bulkhead-site (root).  Ref: useradd(8), userdel(8), usermod(8) of shadow 4.13.
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "sites/program.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sys/directory.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

constexpr int kHomeAttempts = 5;
constexpr int kKillRounds = 200;
constexpr size_t kStatusMax = 1 << 16;
constexpr useconds_t kKillPauseUs = 10'000;

// Whether the user is there, and one that we made for this site.
enum class Standing { kMissing, kOurs, kForeign };
Standing standing_of(const std::string& name, const std::string& comment) {
  const passwd* entry = ::getpwnam(name.c_str());
  ::endpwent();
  if (entry == nullptr) return Standing::kMissing;
  return comment == entry->pw_gecos ? Standing::kOurs : Standing::kForeign;
}

// Whether a process of this user runs: by its real uid, since /proc/PID itself belongs to root when
// the process is not dumpable.  Zombies do not count.
Result<bool> has_processes(uid_t uid) {
  const sys::Fd proc = TRY(sys::open_trusted("/proc", O_PATH | O_DIRECTORY));
  const std::string mark = "\nUid:\t" + std::to_string(uid) + "\t";
  for (const std::string& name : TRY(sys::names_in(proc))) {
    if (name[0] < '1' || name[0] > '9') continue;
    auto status = sys::read_file("/proc/" + name + "/status", kStatusMax);
    if (!status || status->find(mark) == std::string::npos) continue;
    if (status->find("\nState:\tZ") == std::string::npos) return true;
  }
  return false;
}

Status end_processes(const std::string& name) {
  const auto who = TRY(sys::find_identity(name, ""));
  if (who.uid == 0) return fail("user " + name + " is root");
  for (int round = 0; round < kKillRounds; ++round) {
    if (!TRY(has_processes(who.uid))) return {};
    // To all that this user may signal, in one call: nothing can fork its way past it.
    TRY_STATUS(as_user(who, [] {
      (void)::kill(-1, SIGKILL);
      return Status();
    }));
    ::usleep(kKillPauseUs);
  }
  return fail("processes of user " + name + " do not end");
}

std::string tell_user(const Step& step) {
  return "make user and group " + step.word("name") + " (home " + step.word("home") + ", no shell)";
}
Status apply_user(const Step& step) {
  switch (standing_of(step.word("name"), step.word("comment"))) {
    case Standing::kOurs:
      return {};
    case Standing::kForeign:
      return fail("user " + step.word("name") + " has appeared meanwhile");
    case Standing::kMissing:
      break;
  }
  return must_run({.argv = {"useradd", "--user-group", "--no-create-home", "--home-dir",
                            step.word("home"), "--shell", "/usr/sbin/nologin", "--password", "*",
                            "--comment", step.word("comment"), "-K", "SUB_UID_COUNT=0", "-K",
                            "SUB_GID_COUNT=0", step.word("name")}});
}
Status remove_ours(const Step& step) {
  const std::string& name = step.word("name");
  if (standing_of(name, step.word("comment")) != Standing::kOurs) return {};
  TRY_STATUS(end_processes(name));
  return must_run({.argv = {"userdel", name}});
}

std::string tell_remove_user(const Step& step) { return "remove user " + step.word("name"); }
Status apply_remove_user(const Step& step) {
  const passwd* entry = ::getpwnam(step.word("name").c_str());
  ::endpwent();
  if (entry == nullptr) return {};
  TRY_STATUS(end_processes(step.word("name")));
  return must_run({.argv = {"userdel", step.word("name")}});
}

// usermod refuses while a process of the user runs, and the server may start one at any moment.
Status set_home(const std::string& user, const std::string& home) {
  Status done;
  for (int attempt = 0; attempt < kHomeAttempts; ++attempt) {
    TRY_STATUS(end_processes(user));
    done = must_run({.argv = {"usermod", "--home", home, user}});
    if (done) return done;
  }
  return done;
}
std::string tell_home(const Step& step) {
  return "set the home of user " + step.word("user") + " to " + step.word("to");
}
Status apply_home(const Step& step) { return set_home(step.word("user"), step.word("to")); }
Status revert_home(const Step& step) { return set_home(step.word("user"), step.word("from")); }

std::string tell_shell(const Step& step) {
  return "set the login shell of user " + step.word("user") + " to " + step.word("to");
}
Status set_shell(const std::string& user, const std::string& shell) {
  return must_run({.argv = {"usermod", "--shell", shell, user}});
}
Status apply_shell(const Step& step) { return set_shell(step.word("user"), step.word("to")); }
Status revert_shell(const Step& step) {
  // What made the user is undone after this: it may be gone already.
  const bool is_there = sys::find_uid(step.word("user")).has_value();
  return is_there ? set_shell(step.word("user"), step.word("from")) : Status();
}

std::string tell_kill(const Step& step) { return "end the processes of user " + step.word("user"); }
Status apply_kill(const Step& step) { return end_processes(step.word("user")); }

constexpr StepKind kKinds[] = {
    {"user", tell_user, apply_user, remove_ours},
    {"remove-user", tell_remove_user, apply_remove_user, nullptr},
    {"home", tell_home, apply_home, revert_home},
    {"shell", tell_shell, apply_shell, revert_shell},
    {"kill", tell_kill, apply_kill, nullptr},
};

}  // namespace

std::span<const StepKind> account_kinds() { return kKinds; }

Step user_step(const std::string& name, const std::string& home, const std::string& site) {
  return {"user", {{"name", name}, {"home", home}, {"comment", "Bulkhead site " + site}}};
}
Step home_step(const std::string& user, const std::string& from, const std::string& to) {
  return {"home", {{"user", user}, {"from", from}, {"to", to}}};
}
Step shell_step(const std::string& user, const std::string& from, const std::string& to) {
  return {"shell", {{"user", user}, {"from", from}, {"to", to}}};
}
Step kill_step(const std::string& user) { return {"kill", {{"user", user}}}; }
Step remove_user_step(const std::string& name) { return {"remove-user", {{"name", name}}}; }

}  // namespace bulkhead::sites
