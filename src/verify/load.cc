// Group E: how much slower the victim answers while its neighbour takes what it can.
//
// Runs in: bulkhead-verify.  The victim is asked quietly for three seconds, then during the attack,
// in the same run; each figure is the median of the 99th percentiles of three windows.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "verify/pair.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kWindows = 3;
constexpr auto kWindow = 1000ms;
constexpr int kConnections = 300;
constexpr double kRatioMax = 1.2;
constexpr double kNoiseMs = 2;  // below this, a difference is the machine's own
constexpr double kBearableMs = 1000;

struct Measured {
  double p99_ms = 0;
  int failures = 0, requests = 0;
};

double percentile99(std::vector<double>* times) {
  if (times->empty()) return 0;
  std::sort(times->begin(), times->end());
  return (*times)[(times->size() * 99) / 100 == times->size() ? times->size() - 1
                                                              : times->size() * 99 / 100];
}

Measured measure(Pair& pair) {
  Measured out;
  std::vector<double> windows;
  for (int w = 0; w < kWindows; ++w) {
    std::vector<double> times;
    for (auto until = Clock::now() + kWindow; Clock::now() < until;) {
      auto begin = Clock::now();
      bool answered = pair.ask_victim("ping").find("pong") != std::string::npos;
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
      ++out.requests;
      out.failures += !answered;
      ::usleep(4000);
    }
    windows.push_back(percentile99(&times));
  }
  std::sort(windows.begin(), windows.end());
  out.p99_ms = windows[kWindows / 2];
  return out;
}

// --- attacks over HTTP; each runs in a process of its own until it is killed ---

void ask_in_parallel(Pair& pair, const std::string& target, int count) {
  for (;;) {
    std::vector<Connection> open;
    for (int i = 0; i < count; ++i) {
      Connection connection(pair.attacker.port);
      connection.send(pair.attack_request(target));
      open.push_back(std::move(connection));
    }
    for (Connection& connection : open) (void)connection.receive_all(10s);
  }
}

// Heads and bodies that arrive a byte at a time.
void dribble(Pair& pair) {
  std::vector<Connection> open;
  for (int i = 0; i < kConnections; ++i) {
    open.emplace_back(pair.attacker.port);
    open.back().send("POST /" + pair.tag + "-a.php HTTP/1.1\r\nHost: " + pair.attacker.host +
                     "\r\nContent-Length: 100000\r\n" + (i % 2 == 0 ? "X-Slow: " : "\r\n"));
  }
  for (;;) {
    for (Connection& connection : open) connection.send("x");
    ::usleep(200'000);
  }
}

void reload_forever(Pair& pair) {
  for (;;) {
    const auto& masters = pair.server.masters;
    if (pair.server.kind == ServerKind::kStock) {
      ::kill(masters[0], SIGUSR2);  // php-fpm
      ::kill(masters[1], SIGHUP);   // nginx
    } else {
      ::kill(masters[0], SIGHUP);
    }
    ::usleep(500'000);
  }
}

// "" when the attack can be made here.
std::string why_not(const Pair& pair, std::string_view id) {
  bool in_php = id == "E3" || id == "E6" || id == "E8" || id == "E9";
  if (in_php && !pair.attacker.runs_php) return "the attacking site runs no PHP";
  if (id == "E10" && !pair.server.is_own) return "needs a location of verify's own: use --new";
  if (id == "E11" && !pair.server.is_own) return "would reload a live server: use --new";
  if (!pair.victim.runs_php) return "the victim runs no PHP";
  return "";
}

void attack_over_http(Pair& pair, const std::string& id) {
  if (id == "E7") dribble(pair);
  if (id == "E10") ask_in_parallel(pair, "/re/" + std::string(4000, 'a') + "!", 8);
  if (id == "E11") reload_forever(pair);
  int count = id == "E6" ? 100 : 12;
  ask_in_parallel(pair, pair.php_target(id), count);
}

bool is_native(std::string_view id) {
  for (std::string_view native : {"E1", "E2", "E3b", "E4", "E5", "E13"}) {
    if (native == id) return true;
  }
  return false;
}

// The victim's figures while the attack runs.  Errors: the attack could not be made.
Result<Measured> measure_under_attack(Pair& pair, const std::string& id) {
  if (is_native(id)) {
    Process attack = TRY(pair.begin_native(id, 4));
    ::usleep(300'000);
    Measured busy = measure(pair);
    auto line = attack.receive(25s);
    if (!line) return fail("the attacker did not answer");
    Finding finding = parse_finding(*line);
    if (!finding.cannot.empty()) return fail(finding.cannot);
    return busy;
  }
  pid_t helper = ::fork();
  if (helper < 0) return fail_errno("fork failed");
  if (helper == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it has no end of its own
    ::signal(SIGPIPE, SIG_IGN);
    attack_over_http(pair, id);
    ::_exit(0);
  }
  ::usleep(300'000);
  Measured busy = measure(pair);
  ::kill(helper, SIGKILL);
  while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
  }
  return busy;
}

// Waits until the victim answers and the machine is quiet again.
void settle(Pair& pair) {
  for (int i = 0; i < 40; ++i) {
    if (pair.ask_victim("ping").find("pong") != std::string::npos) break;
    ::usleep(250'000);
  }
  ::usleep(500'000);
}

}  // namespace

Outcome run_load(Pair& pair, const Probe& probe) {
  Outcome out{&probe, Verdict::kNotRun, "", why_not(pair, probe.id), 0, 0};
  if (!out.detail.empty()) return out;
  settle(pair);
  Measured quiet = measure(pair);
  if (quiet.failures > 0) {
    out.detail = "the victim does not answer without any attack";
    return out;
  }
  auto busy = measure_under_attack(pair, std::string(probe.id));
  if (!busy) {
    out.detail = busy.error().describe();
    return out;
  }
  settle(pair);
  out.quiet_ms = quiet.p99_ms;
  out.busy_ms = busy->p99_ms;
  double ratio = busy->p99_ms / std::max(quiet.p99_ms, 0.01);
  char text[160];
  std::snprintf(text, sizeof text,
                "victim's p99 %.1f ms quiet, %.1f ms attacked (x%.1f), %d of %d failed",
                quiet.p99_ms, busy->p99_ms, ratio, busy->failures, busy->requests);
  out.detail = text;
  const auto have = layers_of(pair.server);
  std::string first(probe.layers.substr(0, probe.layers.find(' ')));
  if (busy->failures > 0 || busy->p99_ms > kBearableMs) {
    out.verdict = Verdict::kAllowed;
  } else if (ratio <= kRatioMax || busy->p99_ms - quiet.p99_ms < kNoiseMs) {
    // Without controllers it was the kernel's ordinary scheduler that held.
    bool is_held = have.contains(first);
    out.verdict = is_held || first != "cgroup" ? Verdict::kBlocked : Verdict::kDegraded;
    out.by = is_held ? first : "kernel";
  } else {
    // The victim is served, more slowly: the processor was divided by the kernel's scheduler only.
    out.verdict = Verdict::kDegraded;
    out.by = "kernel";
  }
  return out;
}

}  // namespace bulkhead::verify
