// bulkhead-front: talks to clients and to sites; holds no authority.
//
// Runs in: front.  Input: descriptor 3, the channel to master.  Arguments count only for `ps`.
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "front/control.h"
#include "sys/process.h"
#include "sys/signals.h"

int main(int argc, char** argv) {
  using namespace bulkhead;
  sys::init_process_title(argc, argv);
  sys::ignore_sigpipe();
  // execve() made us traceable again by whatever else runs as our user.  Who wants core files of
  // front (worker_rlimit_core) needs that.
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur == 0) ::prctl(PR_SET_DUMPABLE, 0);
  // Before the loops start, so that their threads inherit it: what is sent to the whole process
  // group (Ctrl-C) or to a worker's pid is master's business.
  auto signals =
      sys::SignalSource::create({SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH});
  if (!signals) {
    ::fprintf(stderr, "bulkhead-front: %s\n", signals.error().describe().c_str());
    return 1;
  }
  ::tzset();
  auto control = front::Control::create(sys::Fd(3));
  if (!control) {
    ::fprintf(stderr, "bulkhead-front: %s\n", control.error().describe().c_str());
    return 1;
  }
  return (*control)->run();
}
