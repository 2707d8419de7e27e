#include "verify/verify.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>

#include "sys/files.h"
#include "sys/process.h"
#include "verify/report.h"

namespace bulkhead::verify {
namespace {

constexpr int kExitFailed = 2, kExitUsage = 64;
// Longer than any attack on a live site takes: see src/probe/attacks_load.cc.
constexpr std::chrono::milliseconds kPatienceLive{8000}, kPatienceOwn{500};

void complain(const std::string& text) {
  sys::write_all(sys::FdRef(2), "bulkhead verify: " + text + "\n");
}

std::string kernel_text() {
  utsname names{};
  ::uname(&names);
  int abi = landlock_abi();
  return std::string("Linux ") + names.release +
         (abi > 0 ? ", Landlock ABI " + std::to_string(abi) : ", no Landlock");
}

size_t count_wanted(const Wanted& wanted) {
  size_t n = 0;
  for (const Probe& probe : probes()) n += wanted.wants(probe);
  return n;
}

class Run {
 public:
  Run(const Request& request, Record& record)
      : request_(request), record_(record), screen_(request.json) {
    report_.kernel = kernel_text();
  }

  Result<Report> everything() {
    auto begin = std::chrono::steady_clock::now();
    if (request_.compare) {
      report_.title = "bulkhead verify --compare";
      TRY_STATUS(own(ServerKind::kStock, true));
      TRY_STATUS(own(ServerKind::kBulkhead, true));
    } else if (request_.make_new) {
      report_.title = "bulkhead verify --new";
      TRY_STATUS(own(ServerKind::kBulkhead, false));
    } else {
      report_.title = "bulkhead verify";
      TRY_STATUS(live());
    }
    report_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (request_.compare) screen_.comparison(report_.pairs[0], report_.pairs[1]);
    screen_.summary(report_);
    return std::move(report_);
  }

 private:
  // A pair on a server; `stop` is for the probes after which nothing is as before.
  Status attack(Server& server, Site& attacker, Site& victim, bool is_last,
                const std::function<void()>& stop) {
    PairReport out{attacker.name,
                   victim.name,
                   server.kind == ServerKind::kStock ? "nginx + php-fpm" : "bulkhead",
                   {}};
    screen_.heading(out.column + ": " + attacker.name + " attacks " + victim.name);
    size_t all = count_wanted(request_.wanted);
    Tell tell = [&](const Outcome& outcome) {
      out.outcomes.push_back(outcome);
      screen_.outcome(outcome, out.outcomes.size(), all);
    };
    {
      Pair pair(server, attacker, victim, record_);
      pair.prepare();
      pair.run(request_.wanted, tell);
      if (server.is_own && is_last) {
        pair.run_last(request_.wanted, tell, stop);
      } else if (server.is_own) {
        for (const Probe& probe : probes()) {
          if (probe.how == How::kLast && request_.wanted.wants(probe)) {
            tell({&probe, Verdict::kNotRun, "", "tried with the last pair only", 0, 0});
          }
        }
      }
    }
    // In the table's order, whatever order they were run in.
    std::stable_sort(out.outcomes.begin(), out.outcomes.end(),
                     [](const Outcome& a, const Outcome& b) { return a.probe < b.probe; });
    report_.pairs.push_back(std::move(out));
    return {};
  }

  Status own(ServerKind kind, bool as_the_article) {
    Plan plan;
    plan.kind = kind;
    plan.as_the_article = as_the_article;
    plan.layers_off =
        kind == ServerKind::kBulkhead ? request_.layers_off : std::vector<std::string>();
    plan.pool_lines = request_.pool_lines;
    screen_.note(std::string("Starting ") +
                 (kind == ServerKind::kStock ? "Debian's nginx and php-fpm" : "bulkhead serve") +
                 " for two throw-away sites in " + record_.directory());
    for (const std::string& layer : plan.layers_off) {
      report_.warnings.push_back("the layer `" + layer + "` is switched off for this run");
    }
    auto server = TRY(OwnServer::start(plan, record_));
    auto& sites = server.server.sites;
    auto stop = [&] { server.stop(); };
    if (as_the_article) return attack(server.server, sites[0], sites[1], true, stop);
    TRY_STATUS(attack(server.server, sites[0], sites[1], false, stop));
    return attack(server.server, sites[1], sites[0], true, stop);
  }

  // Said before anything else, and again in the end.
  void warn_of_weak(const Site& site) {
    std::string what;
    if (site.sandbox == "off") {
      what =
          "SANDBOX OFF: only file permissions stand between " + site.name + " and the other sites";
    } else if (!site.layers_off.empty()) {
      what = site.name + " RUNS WITHOUT";
      for (const std::string& layer : site.layers_off) what += " " + layer;
    }
    if (what.empty()) return;
    screen_.shout(what);
    report_.warnings.push_back(what);
  }

  Status live() {
    Server server = TRY(live_server(request_.places));
    for (const std::string& note : server.notes) report_.warnings.push_back(note);
    if (!request_.sites.empty()) {
      for (const std::string& name : request_.sites) {
        bool known = std::any_of(server.sites.begin(), server.sites.end(),
                                 [&](const Site& s) { return s.name == name || s.host == name; });
        if (!known) return fail("there is no site " + name + " (see `bulkhead status`)");
      }
      std::erase_if(server.sites, [&](const Site& s) {
        return std::find(request_.sites.begin(), request_.sites.end(), s.name) ==
                   request_.sites.end() &&
               std::find(request_.sites.begin(), request_.sites.end(), s.host) ==
                   request_.sites.end();
      });
    }
    if (server.sites.size() < 2) {
      std::string why = "it takes two sites; see --new";
      for (const std::string& note : server.notes) why += "\n  " + note;
      return fail(why);
    }
    for (const Site& site : server.sites) warn_of_weak(site);
    for (Site& attacker : server.sites) {
      server.layers_off = attacker.layers_off;
      for (Site& victim : server.sites) {
        if (&attacker == &victim) continue;
        if (attacker.user.uid == victim.user.uid) {
          report_.warnings.push_back(attacker.name + " and " + victim.name +
                                     " have the same user: one site to the kernel, not attacked");
          continue;
        }
        TRY_STATUS(attack(server, attacker, victim, false, [] {}));
      }
    }
    return {};
  }

  const Request& request_;
  Record& record_;
  Screen screen_;
  Report report_;
};

// All of the work, in a child: its parent cleans up behind it whatever happens to it.
int work(const Request& request, Record& record) {
  Run run(request, record);
  auto report = run.everything();
  if (!report) {
    complain(report.error().describe());
    return kExitFailed;
  }
  if (request.json) sys::write_all(sys::FdRef(1), to_json(*report));
  if (!request.html.empty()) {
    if (auto written = sys::write_file_atomically(request.html, to_html(*report)); !written) {
      complain(written.error().describe());
      return kExitFailed;
    }
  }
  for (const PairReport& pair : report->pairs) {
    if (pair.column == "bulkhead" && count(pair.outcomes).allowed > 0) return 1;
  }
  return 0;
}

volatile sig_atomic_t g_signal = 0;
void take_signal(int number) { g_signal = number; }

void take_signals() {
  struct sigaction action {};
  action.sa_handler = take_signal;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
}

// Our children; we are the subreaper, so whatever the run had started is among them.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  const std::string self = std::to_string(::getpid());
  auto text = sys::read_file("/proc/" + self + "/task/" + self + "/children", 1 << 20);
  std::istringstream numbers(text ? *text : "");
  for (pid_t pid = 0; numbers >> pid;) out.push_back(pid);
  return out;
}

// Victims see the end of their input and take their evidence away; an attack that is under way ends
// by itself.  Blocks: until that is done, `patience` at most.
void let_helpers_end(std::chrono::milliseconds patience) {
  auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until && !children().empty()) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    ::usleep(20'000);
  }
}

void end_helpers() {
  for (pid_t pid : children()) ::kill(pid, SIGKILL);
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

// Waits for the child, or ends it when we are told to stop.  What it had started becomes ours, and
// is collected: a dead process that stays would be taken for a living one.
int wait_for(pid_t child) {
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == child) break;
    if (ended > 0) continue;
    if (errno != EINTR) return kExitFailed;
    if (g_signal == 0) continue;
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return 128 + g_signal;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed;
}

}  // namespace

int run(const Request& request) {
  if (request.list) {
    sys::write_all(sys::FdRef(1), list_probes());
    return 0;
  }
  for (const std::string& id : request.wanted.ids) {
    if (find_probe(id) == nullptr) {
      complain("there is no probe " + id + " (see --list)");
      return kExitUsage;
    }
  }
  if (request.make_new && request.compare) {
    complain("--new and --compare exclude each other");
    return kExitUsage;
  }
  if ((!request.layers_off.empty() || !request.pool_lines.empty()) && !request.make_new) {
    complain("--layer-off and --pool-line need --new: a live server is never weakened");
    return kExitUsage;
  }
  if (!sys::is_root()) {
    complain("needs root: it acts as each site's user");
    return kExitFailed;
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  take_signals();
  auto left = remove_leftovers();
  if (!left) complain("leftovers of an earlier run: " + left.error().describe());
  auto record = Record::create();
  if (!record) {
    complain(record.error().describe());
    return kExitFailed;
  }
  pid_t child = ::fork();
  if (child < 0) {
    complain("fork failed");
    return kExitFailed;
  }
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
    ::_exit(work(request, *record));
  }
  int status = wait_for(child);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
  const bool is_live = !request.make_new && !request.compare;
  if (g_signal != 0) complain("interrupted: taking the evidence away");
  // The processes of a server of our own are in the record; they wait for that.
  let_helpers_end(is_live ? kPatienceLive : kPatienceOwn);
  if (auto removed = record->remove(); !removed) {
    complain(removed.error().describe());
    if (status == 0) status = kExitFailed;
  }
  end_helpers();
  return status;
}

}  // namespace bulkhead::verify
