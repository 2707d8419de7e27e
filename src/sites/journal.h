// All or nothing: a command's steps are written to disk before they are done.  Whatever ends us in
// between (an error, Ctrl-C, kill -9, loss of power), the next command or the next start of the
// server finds the journal, undoes what was begun or, past the point of no return, finishes it.
//
// Runs in: bulkhead-site (root).  Input: STATE/journal, which only root can read or change.
//
// The file STATE/journal/current: one line of Work, then "begin N" before the N-th step is done,
// and "committed" when all are.  Each line is on disk (fdatasync) before what it announces happens,
// and what the steps did is on disk (fsync of files, then of their directories) before "committed",
// and before the journal is removed.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "sites/step.h"
#include "sys/fd.h"

namespace bulkhead::sites {

class Journal {
 public:
  using Tell = std::function<void(const std::string& line)>;
  struct Options {
    std::string directory;             // STATE/journal; made when missing
    std::string command;               // ours, for whoever finds the lock taken
    std::chrono::seconds patience{0};  // how long to wait for another command to end
    std::span<const StepKind> kinds;
    Tell tell;                             // lines for the administrator: waiting, recovery
    std::function<void()> between;         // tests: called before and after every effect
    std::function<bool()> is_interrupted;  // asked before each step; true undoes
  };

  // Takes the lock, then finishes or undoes what an earlier command left.
  // Errors: another command holds the lock (who: pid and command); recovery failed, with what to
  // do.  Blocks: up to `patience`.
  [[nodiscard]] static Result<Journal> open(Options options);

  Journal(Journal&&) = default;
  ~Journal();  // lets go of the lock

  // Does every step, or none.  Errors: of the step that failed; the text says when undoing it has
  // failed as well.  `on_step`: told before each step, with its number from 1.
  Status run(const Work& work, const std::function<void(size_t, const Step&)>& on_step = {});

  // Whether an earlier command's journal lies in this directory.
  [[nodiscard]] static bool is_pending(const std::string& directory);

 private:
  struct Found {
    Work work;
    size_t begun = 0;  // steps, from the first
    bool committed = false;
  };
  explicit Journal(Options options) : options_(std::move(options)) {}
  Status lock();
  Status recover();
  Status write_down(const Work& work);
  Status note(const std::string& line);
  Status apply(const Step& step) const;
  // Undoes steps [0, begun), last first; goes on after a failure and returns the first one.
  Status undo(const Work& work, size_t begun) const;
  Status finish(const Work& work) const;
  // Steps [0, count) of a list, done or undone, reach the disk.
  Status settle_steps(const std::vector<Step>& steps, size_t count) const;
  Status forget();
  [[nodiscard]] Result<Found> read() const;
  [[nodiscard]] Result<const StepKind*> kind_of(const Step& step) const;
  [[nodiscard]] std::string path() const { return options_.directory + "/current"; }
  void point() const {
    if (options_.between) options_.between();
  }

  Options options_;
  sys::Fd directory_, lock_, file_;
};

}  // namespace bulkhead::sites
