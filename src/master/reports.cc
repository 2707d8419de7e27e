// See reports.h.
#include "master/reports.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::master {
namespace {

[[noreturn]] void run_child(const Reports::Order& order, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  // Master takes its signals from a descriptor; here they do what they say.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(Reports::kLongest_s);
  sys::set_process_title("bulkhead: report");
  std::vector<sys::FdRef> keep = order.needs ? order.needs() : std::vector<sys::FdRef>();
  keep.push_back(order.out);
  sys::close_descriptors_from(3, keep);
  // Here a reader may be waited for.
  const int flags = ::fcntl(order.out.get(), F_GETFL);
  ::fcntl(order.out.get(), F_SETFL, flags & ~O_NONBLOCK);
  ::_exit(sys::write_all(order.out, order.text()) ? 0 : 1);
}

}  // namespace

Status Reports::start(Order order) {
  if (running_ < kAtOnce) {
    begin(std::move(order));
    return {};
  }
  if (waiting_.size() >= kWaitingMax) return fail("too many reports wait");
  waiting_.push_back(std::move(order));
  return {};
}

void Reports::begin(Order order) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) run_child(order, parent);
  ++running_;
  if (pid < 0) return ended(order.done, {});
  reaper_.watch(pid,
                [this, done = std::move(order.done)](const sys::Ended& how) { ended(done, how); });
}

void Reports::ended(const Done& done, const sys::Ended& how) {
  --running_;
  if (done) {
    done(how.how == sys::Ended::How::kExited && how.value == 0 ? End::kWhole : End::kCut);
  }
  if (waiting_.empty() || running_ >= kAtOnce) return;
  Order next = std::move(waiting_.front());
  waiting_.pop_front();
  begin(std::move(next));
}

}  // namespace bulkhead::master
