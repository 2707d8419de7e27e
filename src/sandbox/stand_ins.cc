// See stand_ins.h.
#include "sandbox/stand_ins.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/cgroup.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {
namespace {

// Most that one process of a site may have; less stays less.  Descriptors and locked memory are the
// machine's, not only the site's own.
constexpr struct {
  __rlimit_resource which;
  rlim_t most;
} kMost[] = {
    {RLIMIT_NOFILE, 65536},    {RLIMIT_MEMLOCK, 8u << 20}, {RLIMIT_MSGQUEUE, 819200},
    {RLIMIT_SIGPENDING, 4096}, {RLIMIT_RTPRIO, 0},         {RLIMIT_NICE, 0},
};

void lower(__rlimit_resource which, rlim_t most) {
  rlimit now{};
  if (::getrlimit(which, &now) != 0 || now.rlim_max <= most) return;
  now = {std::min(now.rlim_cur, most), most};
  ::setrlimit(which, &now);
}

// When the whole machine is out of memory, a site's process is ended before the server or a
// database.  The site cannot take it back: that needs CAP_SYS_RESOURCE.
void offer_to_oom_killer() {
  const sys::Fd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (file.valid()) (void)!::write(file.get(), "300", 3);
}

}  // namespace

Status limit_process(const config::PoolLimits& limits, uint8_t controllers) {
  for (const auto& [which, most] : kMost) lower(which, most);
  offer_to_oom_killer();
  if ((controllers & static_cast<uint8_t>(Controller::kTasks)) != 0) return {};
  rlimit now{};
  ::getrlimit(RLIMIT_NPROC, &now);
  const rlim_t tasks = std::min<rlim_t>(limits.tasks, now.rlim_max);
  now = {tasks, tasks};
  if (::setrlimit(RLIMIT_NPROC, &now) != 0) {
    return fail_errno("setrlimit(RLIMIT_NPROC, " + std::to_string(tasks) + ") failed");
  }
  return {};
}

}  // namespace bulkhead::sandbox
