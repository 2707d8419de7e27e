// Steps: the running server and OpenSSH take what was changed, or show that they would not.
//
// Runs in: bulkhead-site (root).  Ref: sshd(8) of OpenSSH 9.2: -t, -T, SIGHUP.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "exec/client.h"
#include "sites/program.h"
#include "sites/server.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kProcStatusMax = 1 << 16;
constexpr int kStopMaxMs = 30'000;  // for requests that run
constexpr auto kWakeMax = std::chrono::seconds(60);
constexpr auto kProbeMax = std::chrono::seconds(5);
constexpr auto kProbePause = std::chrono::milliseconds(50);

Places places_of(const Step& step) {
  Places places;
  places.etc = step.word("etc");
  places.state = step.word("state");
  places.pid = step.word("pid");
  return places;
}
Step with_places(const char* kind, const Places& places) {
  Step step{kind, {{"etc", places.etc}, {"state", places.state}}};
  if (!places.pid.empty()) step.with["pid"] = places.pid;
  return step;
}

bool has_ended(sys::FdRef pidfd) {
  pollfd ended{pidfd.get(), POLLIN, 0};
  return ::poll(&ended, 1, 0) != 0;
}
// Whether the process of a descriptor, which had that number, is of this user (by its real uid).
bool runs_as(sys::FdRef pidfd, int pid, uid_t uid) {
  auto status = sys::read_file("/proc/" + std::to_string(pid) + "/status", kProcStatusMax);
  const std::string mark = "\nUid:\t" + std::to_string(uid) + "\t";
  return status && status->find(mark) != std::string::npos && !has_ended(pidfd);
}

std::string tell_check(const Step& step) {
  if (step.has("pool")) return "check " + step.word("pool");
  return "check the whole configuration (" + places_of(step).config() + ")";
}
// A pool that no name leads to yet is read alone: the whole is read once its names are there, and
// by the server each time it takes something.
Status check_pool(const std::string& path) {
  config::FpmOptions options;
  options.as_root = ::geteuid() == 0;
  auto pools = config::load_fpm_pools({path}, options);
  if (pools && pools->pools.size() == 1) return {};
  std::string text = pools ? path + " holds " + std::to_string(pools->pools.size()) + " pools" : "";
  if (!pools) text = words_of(pools.error());
  return fail("the new configuration is refused: " + text);
}
Status apply_check(const Step& step) {
  if (step.has("pool")) return check_pool(step.word("pool"));
  auto loaded = load_all(places_of(step));
  if (!loaded) return fail("the new configuration is refused: " + loaded.error().describe());
  return {};
}

std::string tell_reload(const Step&) {
  return "reload the server: it checks the whole configuration, and takes it";
}
// The server checks as `check` does; one that has ended since leaves it to us.
Status apply_reload(const Step& step) {
  const std::string path = TRY(pid_path(places_of(step)));
  if (TRY(reload_server(path))) return {};
  return apply_check(with_places("check", places_of(step)));
}
std::string tell_reload_back(const Step&) { return "(reload the server again when undoing)"; }
Status revert_reload_back(const Step& step) {
  const std::string path = TRY(pid_path(places_of(step)));
  (void)TRY(reload_server(path));
  return {};
}
Status apply_nothing(const Step&) { return {}; }

std::string tell_wake(const Step& step) {
  return "start the PHP of " + step.word("site") + " in its sandbox, to see that it can";
}
Status apply_wake(const Step& step) {
  const std::string path = TRY(pid_path(places_of(step)));
  if (!ask_server(path, Ask::kWhether)) return {};
  exec::ExecRequest request;
  request.socket = exec::socket_path(path);
  request.site = step.word("site");
  request.argv = {"true"};
  request.in = request.out = request.err = sys::FdRef();
  request.terminal = exec::Terminal::kNever;
  request.timeout = kWakeMax;
  auto ended = exec::run_in_site(request);
  if (!ended) return fail("the site does not start: " + ended.error().describe());
  return {};
}

std::string tell_stop(const Step& step) { return "end the PHP of " + step.word("site"); }
// A number may have come to stand for another process before it was made a descriptor, so what is
// behind the descriptor must be of the site's user: at worst the site loses a process of its own.
Status apply_stop(const Step& step) {
  const std::string path = TRY(pid_path(places_of(step)));
  const auto server = ask_server(path);
  if (!server || !server->sites.contains(step.word("site"))) return {};
  const SiteStatus& site = server->sites.at(step.word("site"));
  const auto who = TRY(site_user(site.user));
  for (int pid : site.processes) {
    auto pidfd = sys::open_pidfd(pid);
    if (!pidfd || !runs_as(*pidfd, pid, who.uid)) continue;  // it has ended by itself
    if (!sys::send_signal(*pidfd, SIGQUIT)) continue;
    pollfd ended{pidfd->get(), POLLIN, 0};
    if (::poll(&ended, 1, kStopMaxMs) == 0) (void)sys::send_signal(*pidfd, SIGKILL);
  }
  return {};
}

std::string tell_probe(const Step& step) {
  return "ask http://" + step.word("host") + "/ at " + step.word("listen") + " for an answer";
}
// A moment is given to the first answers: the front may have just been told.
Status apply_probe(const Step& step) {
  const std::string path = TRY(pid_path(places_of(step)));
  if (!ask_server(path, Ask::kWhether)) return {};
  const int wanted = std::atoi(step.word("status").c_str());
  const auto until = std::chrono::steady_clock::now() + kProbeMax;
  for (;;) {
    auto status = probe_http(step.word("listen"), step.word("host"));
    if (status && (wanted != 0 ? *status == wanted : *status < 500)) return {};
    if (std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(kProbePause);
      continue;
    }
    if (!status) return std::unexpected(status.error());
    return fail("the site answers " + std::to_string(*status) + " for /" +
                (wanted != 0 ? ", not " + std::to_string(wanted) : "") +
                ": see its error log and the server's");
  }
}

std::string tell_sshd(const Step& step) {
  return "check OpenSSH's configuration (sshd -t -f " + step.word("config") + ") and reload it";
}
// Validates, then has a running sshd read it anew.
Status apply_sshd(const Step& step) {
  const Ran ran = TRY(run_program({.argv = {"sshd", "-T", "-f", step.word("config")}}));
  if (ran.status != 0) return fail("sshd refuses its configuration: " + ran.errors);
  if (step.has("user")) {
    const std::string who = "user=" + step.word("user") + ",host=localhost,addr=127.0.0.1";
    const Ran match =
        TRY(run_program({.argv = {"sshd", "-T", "-C", who, "-f", step.word("config")}}));
    const std::string command = step.has("command") ? step.word("command") : "internal-sftp";
    if (match.output.find("\nforcecommand " + command) == std::string::npos) {
      return fail(step.word("config") + " does not include sshd_config.d/*.conf near its top, so " +
                  "the site's user would not be confined: add \"Include " +
                  "/etc/ssh/sshd_config.d/*.conf\"");
    }
    // ~/.ssh/environment would choose what the programs before the sandbox load.
    if (command != "internal-sftp" &&
        match.output.find("\npermituserenvironment no\n") == std::string::npos) {
      return fail(step.word("config") +
                  " has PermitUserEnvironment: a shell would not be confined");
    }
  }
  const size_t at = ran.output.find("\npidfile ");
  if (at == std::string::npos) return {};
  const std::string file = ran.output.substr(at + 9, ran.output.find('\n', at + 9) - at - 9);
  auto text = sys::read_file(file, 64);
  const pid_t pid = text ? std::atoi(text->c_str()) : 0;
  if (pid <= 1) return {};
  auto pidfd = sys::open_pidfd(pid);
  auto name = sys::read_file("/proc/" + std::to_string(pid) + "/comm", 64);
  // Read before the descriptor's process ended, so it is that one's.
  if (pidfd && name && *name == "sshd\n" && !has_ended(*pidfd)) {
    TRY_STATUS(sys::send_signal(*pidfd, SIGHUP));
  }
  return {};
}
std::string tell_sshd_back(const Step&) { return "(reload OpenSSH again when undoing)"; }

constexpr StepKind kKinds[] = {
    {"check", tell_check, apply_check, nullptr},
    {"reload", tell_reload, apply_reload, nullptr},
    {"reload-back", tell_reload_back, apply_nothing, revert_reload_back},
    {"wake", tell_wake, apply_wake, nullptr},
    {"stop-pool", tell_stop, apply_stop, nullptr},
    {"probe", tell_probe, apply_probe, nullptr},
    {"sshd", tell_sshd, apply_sshd, nullptr},
    {"sshd-back", tell_sshd_back, apply_nothing, apply_sshd},
};

}  // namespace

std::span<const StepKind> server_kinds() { return kKinds; }

Step check_step(const Places& places) { return with_places("check", places); }
Step check_pool_step(const Places& places, const std::string& pool) {
  Step step = with_places("check", places);
  step.with["pool"] = pool;
  return step;
}
Step reload_step(const Places& places) { return with_places("reload", places); }
Step reload_back_step(const Places& places) { return with_places("reload-back", places); }
Step wake_step(const Places& places, const std::string& site) {
  Step step = with_places("wake", places);
  step.with["site"] = site;
  return step;
}
Step stop_pool_step(const Places& places, const std::string& site) {
  Step step = with_places("stop-pool", places);
  step.with["site"] = site;
  return step;
}
Step probe_step(const Places& places, const std::string& host, const std::string& listen,
                int status) {
  Step step = with_places("probe", places);
  step.with["host"] = host;
  step.with["listen"] = listen;
  step.with["status"] = std::to_string(status);
  return step;
}
Step sshd_step(const Places& places, const std::string& user, const std::string& command) {
  Step step{"sshd", {{"config", places.ssh + "/sshd_config"}}};
  if (!user.empty()) step.with["user"] = user;
  if (!command.empty()) step.with["command"] = command;
  return step;
}
Step sshd_back_step(const Places& places) {
  return {"sshd-back", {{"config", places.ssh + "/sshd_config"}}};
}

}  // namespace bulkhead::sites
