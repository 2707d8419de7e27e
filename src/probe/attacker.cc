// The attacker's main loop: each probe in a process of its own, so that one which is killed (by
// seccomp, say) is an answer and not the end.
//
// Runs in: bulkhead-probe, as the attacking site.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

constexpr int kSecondsMax = 20;

Attack find(std::string_view id) {
  for (auto table : {file_attacks(), process_attacks(), socket_attacks(), ipc_attacks(),
                     kernel_attacks(), load_attacks()}) {
    for (const Row& row : table) {
      if (row.id == id) return row.run;
    }
  }
  return nullptr;
}

// Reads the child's answer until it closes its end or time is up.
std::string take_answer(int fd) {
  std::string text;
  time_t until = ::time(nullptr) + kSecondsMax;
  for (;;) {
    pollfd p{fd, POLLIN, 0};
    int left_ms = static_cast<int>(until - ::time(nullptr)) * 1000;
    if (left_ms <= 0 || ::poll(&p, 1, left_ms) <= 0) break;
    char bytes[65536];
    ssize_t n = ::read(fd, bytes, sizeof bytes);
    if (n <= 0) break;
    text.append(bytes, static_cast<size_t>(n));
  }
  return text;
}

std::string run_apart(std::string_view id, Attack attack, const Facts& facts) {
  int ends[2];
  if (::pipe(ends) != 0) return to_json(id, cannot("no pipe"));
  pid_t pid = ::fork();
  if (pid < 0) return to_json(id, refused("fork"));
  if (pid == 0) {
    ::close(ends[0]);
    std::string line = to_json(id, attack(facts));
    ::dup2(ends[1], 1);
    write_out(line);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string line = take_answer(ends[0]);
  ::close(ends[0]);
  ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!line.empty() && line.back() == '\n') return line;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
    return to_json(id, refused("killed by SIGSYS", EPERM));
  }
  return to_json(id, cannot("the attacker's process ended without an answer (wait status " +
                            std::to_string(status) + ")"));
}

}  // namespace

int attacker() {
  ::signal(SIGPIPE, SIG_IGN);
  Facts facts;
  std::string line;
  while (read_line(&line) && line != "end") {
    if (line.starts_with("fact ")) {
      size_t space = line.find(' ', 5);
      if (space == std::string::npos) continue;
      facts.set(line.substr(5, space - 5), line.substr(space + 1));
    } else if (line.starts_with("probe ")) {
      std::string id = line.substr(6);
      Attack attack = find(id);
      write_out(attack == nullptr ? to_json(id, cannot("bulkhead-probe has no such attack"))
                                  : run_apart(id, attack, facts));
    }
  }
  return 0;
}

}  // namespace bulkhead::probe
