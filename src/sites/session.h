// One command from its lock to its report.
//
// Runs in: bulkhead-site (root).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "sites/commands.h"
#include "sites/journal.h"
#include "sites/record.h"
#include "sites/server.h"
#include "sites/step.h"

namespace bulkhead::sites {

// Collects steps; a maker that fails makes the whole plan fail.
class Plan {
 public:
  explicit Plan(const Common& common) { work_.command = common.line; }
  void add(Step step) { work_.steps.push_back(std::move(step)); }
  Status add(Result<Step> step) {
    if (!step) return std::unexpected(step.error());
    work_.steps.push_back(std::move(*step));
    return {};
  }
  void finish(Step step) { work_.finish.push_back(std::move(step)); }
  [[nodiscard]] const Work& work() const { return work_; }

 private:
  Work work_;
};

// What a command found out while it planned; printed when it is done.
struct Outcome {
  std::string site;
  bool changed = true;
  std::string text;  // for people: one or more lines
};

// Takes the lock (not for --dry-run), repairs what an earlier command left, lets `plan` look and
// fill a Plan, then does it all or nothing and reports.  The exit code.
using Planner = std::function<Result<Outcome>(Plan* plan)>;
int run_command(const Common& common, const Planner& plan);

// An error on standard error (as JSON on standard output with --json).  Returns kExitFailed.
int complain(const Common& common, const Error& error);

// Whether a server answers, and what it says; looked up once per command.
[[nodiscard]] std::optional<ServerStatus> server_now(const Places& places);
// A list for people, one a line, or as JSON.  `none`: said to people when there is nothing, on
// standard error, so that a script that reads lines reads none.
void print_lines(const Common& common, const std::vector<std::string>& lines, const char* none);
// Whether one answers, which costs the same however many sites there are.
[[nodiscard]] bool server_runs(const Places& places);

}  // namespace bulkhead::sites
