#include "sites/session.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "sandbox/state_dir.h"
#include "sites/steps.h"
#include "sites/tree.h"

namespace bulkhead::sites {
namespace {

using nlohmann::json;
constexpr auto kQuietFor = std::chrono::seconds(1);  // then each step is told on a terminal

volatile sig_atomic_t interrupted = 0;
void on_signal(int) { interrupted = 1; }

// Who speaks on standard error: "bulkhead site", "bulkhead import".
std::string speaker(const Common& common) {
  return "bulkhead " + common.line.substr(0, common.line.find(' '));
}

// Ctrl-C and friends end a command between two steps, and it is undone.
void heed_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

const StepKind* kind_named(const std::string& name) {
  for (const StepKind& kind : step_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::vector<std::string> told(const std::vector<Step>& steps) {
  std::vector<std::string> lines;
  for (const Step& step : steps) {
    const StepKind* kind = kind_named(step.kind);
    if (kind == nullptr) continue;
    std::string line = kind->tell(step);
    if (!line.starts_with('(')) lines.push_back(std::move(line));
  }
  return lines;
}

void print_outcome(const Common& common, const Outcome& outcome, const Work& work) {
  std::vector<std::string> lines = told(work.steps);
  for (std::string& line : told(work.finish)) lines.push_back(std::move(line));
  if (common.json) {
    const json out{{"site", outcome.site},
                   {"changed", outcome.changed && !common.dry_run},
                   {"dry_run", common.dry_run},
                   {"steps", lines},
                   {"message", outcome.text}};
    std::printf("%s\n", out.dump(2, ' ', false, json::error_handler_t::replace).c_str());
    return;
  }
  if (common.dry_run && outcome.changed) {
    std::printf("would do, in this order (nothing was changed):\n");
    for (size_t i = 0; i < lines.size(); ++i) std::printf("%3zu  %s\n", i + 1, lines[i].c_str());
    return;
  }
  std::printf("%s\n", outcome.text.c_str());
}

Result<Journal> open_journal(const Common& common) {
  TRY_STATUS(sandbox::prepare_state_root(common.places.state));
  Journal::Options options;
  options.directory = common.places.journal();
  options.command = "bulkhead " + common.line;
  options.patience = common.wait;
  options.kinds = step_kinds();
  options.tell = [name = speaker(common)](const std::string& line) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), line.c_str());
  };
  options.is_interrupted = [] { return interrupted != 0; };
  return Journal::open(std::move(options));
}

// On a terminal, what takes longer than a second is told step by step.
std::function<void(size_t, const Step&)> progress(const Common& common, size_t steps) {
  if (common.json || ::isatty(2) == 0) return {};
  const auto start = std::chrono::steady_clock::now();
  return [start, steps](size_t number, const Step& step) {
    if (std::chrono::steady_clock::now() - start < kQuietFor) return;
    const StepKind* kind = kind_named(step.kind);
    if (kind == nullptr) return;
    std::fprintf(stderr, "[%zu/%zu] %s\n", number, steps, kind->tell(step).c_str());
  };
}

int fail_with(const Common& common, const Error& error) {
  return error.text.starts_with("in use by ") ? (complain(common, error), kExitBusy)
                                              : complain(common, error);
}

}  // namespace

int complain(const Common& common, const Error& error) {
  if (common.json) {
    const json out{{"error", error.describe()}, {"changed", false}};
    std::printf("%s\n", out.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  } else {
    std::fprintf(stderr, "%s: %s\n", speaker(common).c_str(), error.describe().c_str());
  }
  return kExitFailed;
}

int run_command(const Common& common, const Planner& planner) {
  if (::geteuid() != 0) return complain(common, {"must be run as root", 0});
  heed_signals();
  Plan plan(common);
  if (common.dry_run) {
    if (Journal::is_pending(common.places.journal())) {
      std::fprintf(stderr, "%s: an interrupted command will be put in order first\n",
                   speaker(common).c_str());
    }
    auto outcome = planner(&plan);
    if (!outcome) return complain(common, outcome.error());
    print_outcome(common, *outcome, plan.work());
    return kExitDone;
  }
  auto journal = open_journal(common);
  if (!journal) return fail_with(common, journal.error());
  auto outcome = planner(&plan);
  if (!outcome) return complain(common, outcome.error());
  if (outcome->changed && !plan.work().steps.empty()) {
    auto done = journal->run(plan.work(), progress(common, plan.work().steps.size()));
    if (!done) return complain(common, done.error());
  }
  print_outcome(common, *outcome, plan.work());
  return kExitDone;
}

int recover(const Common& common) {
  if (!Journal::is_pending(common.places.journal())) return kExitDone;
  heed_signals();
  auto journal = open_journal(common);
  return journal ? static_cast<int>(kExitDone) : fail_with(common, journal.error());
}

void print_lines(const Common& common, const std::vector<std::string>& lines, const char* none) {
  if (common.json) {
    const json out(lines);
    std::printf("%s\n", out.dump(2, ' ', false, json::error_handler_t::replace).c_str());
    return;
  }
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  if (lines.empty()) std::fprintf(stderr, "%s: %s\n", speaker(common).c_str(), none);
}

bool server_runs(const Places& places) {
  static std::map<std::string, bool> known;
  if (!exists(places.config())) return false;
  auto path = pid_path(places);
  if (!path) return false;
  auto [at, is_new] = known.try_emplace(*path);
  if (is_new) at->second = ask_server(*path, Ask::kWhether).has_value();
  return at->second;
}

std::optional<ServerStatus> server_now(const Places& places) {
  static std::map<std::string, std::optional<ServerStatus>> known;
  if (!exists(places.config())) return {};
  auto path = pid_path(places);
  if (!path) return {};
  auto [at, is_new] = known.try_emplace(*path);
  if (is_new) at->second = ask_server(*path);
  return at->second;
}

}  // namespace bulkhead::sites
