// See top.h.
#include "top/top.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "master/children.h"
#include "master/control_socket.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/stream_io.h"
#include "top/live.h"
#include "top/question.h"
#include "top/screen.h"

namespace bulkhead::top {
namespace {

constexpr int kNoServer = 3, kNotAllowed = 4, kNoTerminal = 64;
constexpr std::chrono::milliseconds kEscapePause{50};  // after Escape alone, at most
constexpr std::chrono::seconds kAnswerPatience{25};

int complain(const std::string& text, int code) {
  sys::write_all(sys::FdRef(2), "bulkhead top: " + text + "\n");
  return code;
}

Result<Sample> look(const std::string& pid_path, int* code) {
  *code = kNoServer;
  auto text = master::ask_master(pid_path, "status");
  if (!text) return fail("no server answers: " + text.error().describe());
  if (text->empty()) {
    *code = kNotAllowed;
    return fail("no answer: only root, or the user the server runs as, may ask");
  }
  auto sample = parse_status(*text, Clock::now());
  if (!sample) return fail("the server's answer is no status: is it of another version?");
  return std::move(*sample);
}

std::string table_text(const Settings& settings, const std::optional<Sample>& before,
                       const Sample& after) {
  constexpr size_t kWidth = 100;
  std::vector<Row> rows = rows_between(before, after);
  std::string out;
  for (const std::string& line : summary(after, rows, kWidth)) out += line + "\n";
  out += heading(kWidth) + "\n";
  arrange(&rows, settings.sort, settings.filter);
  for (const Row& row : rows) out += line_of(row, kWidth) + "\n";
  return out;
}

int run_batch(const Settings& settings) {
  int code = 0;
  auto before = look(settings.pid_path, &code);
  if (!before) return complain(before.error().text, code);
  for (uint32_t i = 0; settings.tables == 0 || i < settings.tables; ++i) {
    std::this_thread::sleep_for(settings.interval);
    auto after = look(settings.pid_path, &code);
    if (!after) return complain(after.error().text, code);
    const std::string text = (i == 0 ? "" : "\n") + table_text(settings, *before, *after);
    if (!sys::write_all(sys::FdRef(1), text)) return 1;
    before = std::move(after);
  }
  return 0;
}

// `bulkhead site restart NAME` beside us; its last line is what the person is told.
class Restart {
 public:
  Restart(const std::string& site, const std::string& pid_path) : site_(site) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return;
    out_.reset(ends[0]);
    const sys::Fd theirs(ends[1]);
    auto program = master::find_program("bulkhead-site");
    if (!program) {
      text_ = program.error().describe();
      return;
    }
    const pid_t pid = ::fork();
    if (pid != 0) return;
    sys::reset_signals();
    ::setpgid(0, 0);  // Ctrl-C is for us: the command is finished
    ::dup2(theirs.get(), 1);
    ::dup2(theirs.get(), 2);
    ::execl(program->c_str(), "bulkhead-site", "restart", site.c_str(), "--pid", pid_path.c_str(),
            nullptr);
    ::_exit(126);
  }
  [[nodiscard]] int fd() const { return out_.get(); }
  // What came of it, once it is over.
  std::optional<std::string> read_some() {
    char buffer[4096];
    const ssize_t n = ::read(out_.get(), buffer, sizeof buffer);
    if (n > 0) {
      text_.append(buffer, static_cast<size_t>(n));
      if (text_.size() > kTextMax) text_.erase(0, text_.size() - kTextMax);
      return {};
    }
    while (text_.ends_with('\n')) text_.pop_back();
    const std::string last = text_.substr(text_.rfind('\n') + 1);
    return last.empty() ? "restart of " + site_ + " failed" : last;
  }

 private:
  static constexpr size_t kTextMax = 64 * 1024;
  std::string site_, text_;
  sys::Fd out_;
};

class Session {
 public:
  Session(const Settings& settings, Screen& screen, sys::SignalSource& signals)
      : settings_(settings),
        screen_(screen),
        signals_(signals),
        live_(settings.sort, settings.filter) {}

  int run() {
    ask();
    while (!done_) {
      screen_.show(live_.picture(screen_.size()));
      wait();
    }
    return code_;
  }

 private:
  void ask() {
    next_ = Clock::now() + settings_.interval;
    if (question_) {
      if (Clock::now() < asked_ + kAnswerPatience) return;
      question_.reset();
    }
    auto asked = Question::ask(settings_.pid_path);
    asked_ = Clock::now();
    if (asked) {
      question_ = std::move(*asked);
    } else {
      live_.say_trouble("no server answers: " + asked.error().describe());
    }
  }

  void wait() {
    auto until = next_;
    if (keys_.has_rest()) until = std::min(until, Clock::now() + kEscapePause);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled[] = {{0, POLLIN, 0},
                       {signals_.fd().get(), POLLIN, 0},
                       {question_ ? question_->fd().get() : -1, POLLIN, 0},
                       {restart_ ? restart_->fd() : -1, POLLIN, 0}};
    const int ready = ::poll(polled, std::size(polled), static_cast<int>(std::max<long>(left, 0)));
    if (ready == 0 && keys_.has_rest()) press(keys_.flush());
    if (polled[0].revents != 0) read_keys();
    if (polled[1].revents != 0) read_signals();
    if (polled[2].revents != 0) read_answer();
    if (polled[3].revents != 0) read_restart();
    if (Clock::now() >= next_) ask();
  }

  void read_keys() {
    char bytes[256];
    const ssize_t n = ::read(0, bytes, sizeof bytes);
    if (n <= 0) {  // the terminal is gone
      done_ = true;
      return;
    }
    press(keys_.read({bytes, static_cast<size_t>(n)}));
  }

  void press(const std::vector<Press>& presses) {
    for (const Press& one : presses) {
      switch (live_.press(one, screen_.size().rows)) {
        case Live::Wish::kQuit:
          done_ = true;
          return;
        case Live::Wish::kRestart:
          begin_restart();
          break;
        case Live::Wish::kNothing:
          break;
      }
    }
  }

  void begin_restart() {
    if (restart_) return live_.say_note("another restart is not over yet");
    live_.say_note("restarting " + live_.selected() + " ...");
    restart_.emplace(live_.selected(), settings_.pid_path);
  }

  void read_signals() {
    while (auto signal = signals_.next()) {
      if (signal->number == SIGWINCH || signal->number == SIGCHLD) continue;
      if (signal->number == SIGTSTP) {
        screen_.leave();
        ::kill(::getpid(), SIGSTOP);
        screen_.enter();
        continue;
      }
      done_ = true;
      code_ = signal->number == SIGINT ? 0 : 128 + signal->number;
    }
  }

  void read_answer() {
    auto text = question_->read_some();
    if (!text) return;
    question_.reset();
    if (auto sample = parse_status(*text, Clock::now())) return live_.take(std::move(*sample));
    live_.say_trouble(text->empty() ? "no answer: only root, or the server's user, may ask"
                                    : "the answer is no status: a server of another version?");
  }

  void read_restart() {
    auto text = restart_->read_some();
    if (!text) return;
    restart_.reset();
    for (char& c : *text) c = c < 0x20 || c >= 0x7f ? '?' : c;
    live_.say_note(*text);
    ask();
  }

  const Settings& settings_;
  Screen& screen_;
  sys::SignalSource& signals_;
  Live live_;
  KeyReader keys_;
  std::optional<Question> question_;
  std::optional<Restart> restart_;
  Clock::time_point next_{}, asked_{};
  bool done_ = false;
  int code_ = 0;
};

}  // namespace

int run(const Settings& settings) {
  if (settings.batch) return run_batch(settings);
  int code = 0;
  // Said before the screen is taken, and not lost with it.
  if (auto first = look(settings.pid_path, &code); !first) {
    return complain(first.error().text, code);
  }
  auto signals =
      sys::SignalSource::create({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCHLD});
  if (!signals) return complain(signals.error().describe(), 1);
  ::signal(SIGCHLD, SIG_IGN);  // nobody waits for a restart: its pipe ends
  auto screen = Screen::create();
  if (!screen) {
    return complain(
        screen.error().describe() + "; for scripts: bulkhead top --once, or bulkhead status --json",
        kNoTerminal);
  }
  return Session(settings, **screen, *signals).run();
}

}  // namespace bulkhead::top
