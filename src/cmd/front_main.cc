// bulkhead-front: talks to clients and to sites; holds no authority.
//
// Runs in: front.  Input: descriptor 3, the channel to master; arguments from master: the numbers
// of the user and group to become, then those of further groups.  None: stay who we are.
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include "front/control.h"
#include "sandbox/confine_front.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/turn_length.h"

namespace {

using bulkhead::sys::Identity;

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool parse_identity(std::span<char* const> words, std::optional<Identity>* out) {
  if (words.empty()) return true;
  if (words.size() < 2) return false;
  Identity identity;
  for (size_t i = 0; i < words.size(); ++i) {
    auto value = number(words[i]);
    if (!value) return false;
    if (i == 0) {
      identity.uid = *value;
      identity.name = words[i];
    } else if (i == 1) {
      identity.gid = *value;
    } else {
      identity.groups.push_back(*value);
    }
  }
  *out = std::move(identity);
  return true;
}

int complain(const std::string& text, int code) {
  ::fprintf(stderr, "bulkhead-front: %s\n", text.c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bulkhead;
  sandbox::FrontConfinement confinement;
  if (!parse_identity({argv + 1, static_cast<size_t>(argc - 1)}, &confinement.identity)) {
    return complain("is started by bulkhead's master process", 64);
  }
  // A scheduling group of its own, as each pool's (sched_autogroup, sched(7)). Not one of more
  // weight: front would take the processor from a worker at each wake-up, at twice the cost of a
  // request.
  (void)::setsid();
  // Before the loops' threads are made, which inherit it.  A refusal costs only time.
  (void)sys::set_turn_length(sys::kAnsweringTurn, sys::Heirs::kSame);
  sys::init_process_title(argc, argv);
  sys::ignore_sigpipe();
  // Who wants core files of front (worker_rlimit_core) needs it traceable by its own user.
  rlimit core{};
  confinement.dumpable = ::getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur != 0;
  // Before the loops start, so that their threads inherit it: what is sent to the whole process
  // group (Ctrl-C) or to a worker's pid is master's business.
  auto signals =
      sys::SignalSource::create({SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH});
  if (!signals) return complain(signals.error().describe(), 1);
  ::tzset();  // reads the time zone's file while there is one to read
  auto confined = sandbox::confine_front(confinement);
  if (!confined) return complain(confined.error().describe(), 1);
  for (const std::string& note : *confined) complain("note: " + note, 0);
  auto control = front::Control::create(sys::Fd(3));
  if (!control) return complain(control.error().describe(), 1);
  return (*control)->run();
}
