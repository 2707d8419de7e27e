// bulkhead-files: opens the files of a site that has no PHP, as the site's user.
//
// Runs in: bulkhead-files, started by master already as that user, with no new privileges.
// Descriptors: 3 master's channel, 4 and up one site channel per loop of front.
// Arguments: COUNT of site channels, and optionally the seconds after which it says it is idle.
// Input: front's questions (opener/), master's kStop.
#include <sys/prctl.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "ipc/channel.h"
#include "loop/event_loop.h"
#include "opener/opener.h"
#include "sandbox/seccomp.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace {

using bulkhead::loop::EventLoop;
using bulkhead::loop::Millis;
using bulkhead::loop::Timer;
namespace ipc = bulkhead::ipc;
namespace sys = bulkhead::sys;

constexpr int kMasterChannel = 3;
constexpr int kFirstSiteChannel = 4;
constexpr unsigned kLoopsMax = 256;
constexpr unsigned kIdleSecondsDefault = 60;

bool parse_number(std::string_view text, unsigned max, unsigned* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value <= max;
}

// Tells master when nobody has asked for `after`; master decides, and stops us with kStop.
class IdleWatch {
 public:
  IdleWatch(EventLoop& loop, bulkhead::opener::Opener& opener, ipc::Channel& master, Millis after)
      : loop_(loop), opener_(opener), master_(master), after_(after), timer_([this] { look(); }) {
    timer_.arm(loop_, after_);
  }

 private:
  void look() {
    auto quiet = std::chrono::duration_cast<Millis>(loop_.now() - opener_.last_active());
    if (quiet >= after_) master_.send(ipc::Op::kIdle);
    timer_.arm(loop_, quiet >= after_ ? after_ : after_ - quiet + Millis(1));
  }
  EventLoop& loop_;
  bulkhead::opener::Opener& opener_;
  ipc::Channel& master_;
  Millis after_;
  Timer timer_;
};

bulkhead::Status serve(unsigned count, Millis idle_after) {
  auto loop = TRY(EventLoop::create());
  EventLoop* running = loop.get();
  auto stop = [running] { running->stop(); };
  auto master = TRY(ipc::Channel::create(
      *loop, sys::Fd(kMasterChannel), ipc::Role::kMaster, ipc::Phase::kServing,
      [stop](ipc::Op op, std::string_view, std::vector<sys::Fd>&) {
        if (op == ipc::Op::kStop) stop();
      },
      [stop](const std::string&) { stop(); }));
  std::vector<sys::Fd> channels;
  for (unsigned i = 0; i < count; ++i) {
    channels.emplace_back(kFirstSiteChannel + static_cast<int>(i));
  }
  // Questions that were sent before kStop are still answered: run_once() below.
  auto opener = TRY(
      bulkhead::opener::Opener::create(*loop, std::move(channels), {.spawn = {}, .closed = stop}));
  master->send(ipc::Op::kReady);
  IdleWatch idle(*loop, *opener, *master, idle_after);
  loop->run();
  loop->run_once(Millis(0));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  sys::init_process_title(argc, argv);
  sys::ignore_sigpipe();
  unsigned count = 0;
  unsigned idle_seconds = kIdleSecondsDefault;
  bool valid = argc >= 2 && argc <= 3 && parse_number(argv[1], kLoopsMax, &count) && count > 0 &&
               (argc < 3 || parse_number(argv[2], 86'400, &idle_seconds)) && idle_seconds > 0;
  if (!valid) {
    std::fprintf(stderr, "bulkhead-files is started by bulkhead's master process\n");
    return 64;
  }
  sys::set_process_title("bulkhead: files");
  ::prctl(PR_SET_DUMPABLE, 0);  // another process of the site's user may not trace it
  ::umask(022);
  // Master has said so already; whoever else starts us (a test) has not, and the filter needs it.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Last of all: starting this program needed calls that it will not make again.
  auto filter = bulkhead::sandbox::Filter::for_opener();
  auto confined = filter ? bulkhead::sandbox::install(*filter)
                         : bulkhead::Status(std::unexpected(filter.error()));
  if (!confined) {
    std::fprintf(stderr, "bulkhead-files: %s\n", confined.error().describe().c_str());
    if (confined.error().errno_value != EINVAL) return 1;  // a kernel without filters
  }
  auto served = serve(count, Millis(1000) * idle_seconds);
  if (served) return 0;
  std::fprintf(stderr, "bulkhead-files: %s\n", served.error().describe().c_str());
  return 1;
}
