#include "sites/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <thread>

#include "sites/program.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kJournalMax = 64u << 20;
constexpr auto kLookAgain = std::chrono::milliseconds(50);

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

Status sync(sys::FdRef fd, const std::string& what) {
  if (::fdatasync(fd.get()) < 0) return fail_errno("fdatasync() of " + what + " failed");
  return {};
}

// "begin 12\n...": how many steps were begun, and whether all were done.
void read_progress(std::string_view lines, size_t* begun, bool* committed) {
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    if (end == std::string_view::npos) return;  // half a line: not yet announced
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 1);
    if (line == "committed") *committed = true;
    if (!line.starts_with("begin ")) continue;
    size_t number = 0;
    const std::string_view digits = line.substr(6);
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    *begun = std::max(*begun, number);
  }
}

}  // namespace

Result<Journal> Journal::open(Options options) {
  Journal journal(std::move(options));
  TRY_STATUS(journal.lock());
  TRY_STATUS(journal.recover());
  return journal;
}

Journal::~Journal() {
  if (lock_.valid()) keep_in_programs(sys::FdRef());
}

bool Journal::is_pending(const std::string& directory) {
  return ::access((directory + "/current").c_str(), F_OK) == 0;
}

// The holder writes its pid and command into the lock file: whoever waits is told.
Status Journal::lock() {
  const std::string& path = options_.directory;
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) {
    return fail_errno("cannot make the directory " + path);
  }
  directory_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!directory_.valid() || ::fstat(directory_.get(), &st) < 0) {
    return fail_errno("cannot open the directory " + path);
  }
  if (st.st_uid != ::geteuid() || (st.st_mode & 0022) != 0) {
    return fail("the directory " + path + " can be changed by others: chown root it, chmod 700");
  }
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  lock_.reset(::openat(directory_.get(), "lock", kFlags, 0600));
  if (!lock_.valid()) return fail_errno("cannot open " + path + "/lock");
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  bool told = false;
  while (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("flock() of the journal failed");
    auto text = sys::read_file(path + "/lock", 4096);
    const std::string holder = text && !text->empty() ? first_line(*text) : "another command";
    if (std::chrono::steady_clock::now() >= until) {
      return fail("in use by " + holder + "; try again when it has ended");
    }
    if (!told && options_.tell) options_.tell("waiting for " + holder + " to end");
    told = true;
    if (options_.is_interrupted && options_.is_interrupted()) return fail("interrupted");
    std::this_thread::sleep_for(kLookAgain);
  }
  const std::string mine = "pid " + std::to_string(::getpid()) + ": " + options_.command + "\n";
  if (::ftruncate(lock_.get(), 0) < 0 || !sys::write_all(lock_, mine)) {
    return fail_errno("cannot write " + path + "/lock");
  }
  keep_in_programs(lock_);
  return {};
}

Result<Journal::Found> Journal::read() const {
  const std::string text = TRY(sys::read_file(path(), kJournalMax));
  const size_t end = text.find('\n');
  Found found;
  found.work = TRY(parse_work(std::string_view(text).substr(0, end)));
  if (end != std::string::npos) {
    read_progress(std::string_view(text).substr(end + 1), &found.begun, &found.committed);
  }
  if (found.begun > found.work.steps.size())
    return fail("the journal names steps it does not have");
  return found;
}

Status Journal::recover() {
  (void)::unlinkat(directory_.get(), "current.new", 0);  // begun, and nothing done yet
  if (!is_pending(options_.directory)) return {};
  const std::string advice = "; what it says is in " + path() + ", remove that file to go on as is";
  auto found = read();
  if (!found) {
    return fail_errno("an earlier command was interrupted, and its journal cannot be used: " +
                          found.error().text + advice,
                      found.error().errno_value);
  }
  const std::string name = "\"bulkhead " + found->work.command + "\"";
  auto done = found->committed ? finish(found->work) : undo(found->work, found->begun);
  if (!done) {
    return fail_errno("an earlier " + name + " was interrupted and cannot be " +
                          (found->committed ? "finished: " : "undone: ") + done.error().text +
                          advice,
                      done.error().errno_value);
  }
  TRY_STATUS(forget());
  if (options_.tell) {
    options_.tell(std::string(found->committed ? "finished" : "undid") + " an earlier " + name +
                  ", interrupted at step " + std::to_string(found->begun) + " of " +
                  std::to_string(found->work.steps.size()));
  }
  return {};
}

Status Journal::run(const Work& work, const std::function<void(size_t, const Step&)>& on_step) {
  for (const auto* list : {&work.steps, &work.finish}) {
    for (const Step& step : *list) (void)TRY(kind_of(step));
  }
  TRY_STATUS(write_down(work));
  for (size_t i = 0; i < work.steps.size(); ++i) {
    const Step& step = work.steps[i];
    if (on_step) on_step(i + 1, step);
    point();
    const bool stop = options_.is_interrupted && options_.is_interrupted();
    auto done = stop ? Status(fail("interrupted")) : note("begin " + std::to_string(i + 1));
    if (done) done = apply(step);
    point();
    if (done) continue;
    if (auto undone = undo(work, i + 1); !undone) {
      return fail_errno(
          done.error().text +
              "; and undoing failed (the next command tries again): " + undone.error().describe(),
          done.error().errno_value);
    }
    TRY_STATUS(forget());
    return done;
  }
  if (auto settled = settle_steps(work.steps, work.steps.size()); !settled) {
    TRY_STATUS(undo(work, work.steps.size()));
    TRY_STATUS(forget());
    return settled;
  }
  TRY_STATUS(note("committed"));
  point();
  TRY_STATUS(finish(work));
  return forget();
}

Status Journal::write_down(const Work& work) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_APPEND;
  file_.reset(::openat(directory_.get(), "current.new", kFlags, 0600));
  if (!file_.valid()) return fail_errno("cannot write the journal " + path());
  if (!sys::write_all(file_, to_text(work) + "\n")) {
    const int error = errno;
    (void)::unlinkat(directory_.get(), "current.new", 0);
    return fail_errno("cannot write the journal " + path(), error);
  }
  TRY_STATUS(sync(file_, "the journal"));
  if (::renameat(directory_.get(), "current.new", directory_.get(), "current") < 0) {
    return fail_errno("cannot write the journal " + path());
  }
  return sync(directory_, "the journal's directory");
}

Status Journal::note(const std::string& line) {
  if (!sys::write_all(file_, line + "\n")) return fail_errno("cannot write the journal " + path());
  return sync(file_, "the journal");
}

Result<const StepKind*> Journal::kind_of(const Step& step) const {
  for (const StepKind& kind : options_.kinds) {
    if (kind.name == step.kind) return &kind;
  }
  return fail("this version knows no step \"" + step.kind + "\"");
}

Status Journal::apply(const Step& step) const { return TRY(kind_of(step))->apply(step); }

Status Journal::undo(const Work& work, size_t begun) const {
  Status first;
  for (size_t i = begun; i-- > 0;) {
    const Step& step = work.steps[i];
    const StepKind* kind = TRY(kind_of(step));
    point();
    auto done = kind->revert != nullptr ? kind->revert(step) : Status();
    if (!done && first) {
      first = fail_errno(kind->tell(step) + ": " + done.error().text, done.error().errno_value);
    }
  }
  point();
  auto settled = settle_steps(work.steps, begun);
  return first ? settled : first;
}

Status Journal::finish(const Work& work) const {
  for (const Step& step : work.finish) {
    point();
    TRY_STATUS(apply(step));
  }
  point();
  return settle_steps(work.finish, work.finish.size());
}

Status Journal::settle_steps(const std::vector<Step>& steps, size_t count) const {
  Touched touched;
  for (size_t i = 0; i < count; ++i) {
    const StepKind* kind = TRY(kind_of(steps[i]));
    if (kind->touch != nullptr) kind->touch(steps[i], &touched);
  }
  return settle(touched);
}

Status Journal::forget() {
  file_.reset();
  if (::unlinkat(directory_.get(), "current", 0) < 0) {
    return fail_errno("cannot remove the journal " + path());
  }
  return sync(directory_, "the journal's directory");
}

}  // namespace bulkhead::sites
