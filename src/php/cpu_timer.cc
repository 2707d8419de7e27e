// See cpu_timer.h.
#include "php/cpu_timer.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/sanitized.h"

namespace bulkhead::php {
namespace {

constexpr uint64_t kFreshUs = 1000;    // wall time after which the kernel is asked again
constexpr uint64_t kExpiredUs = 2000;  // less than this is left: over

uint64_t read_clock(clockid_t which) {
  timespec t{};
  clock_gettime(which, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

// What the signal handler shares with the code it interrupts; one thread, so lock-free is enough.
struct Timer {
  std::atomic<uint64_t> wanted{0};  // CPU time at which the request must end; 0: no limit
  std::atomic<uint64_t> armed{0};   // CPU time at which the kernel's timer fires; 0: not armed
  std::atomic<bool> active{false};
  std::atomic<bool> unblocked{false};  // SIGPROF is known not to be blocked
  bool installed = false;              // our handler stands for `theirs`
  struct sigaction theirs = {};        // what libphp installed for SIGPROF
  CpuTimerCounts counts;
};
Timer g_timer;
uint64_t g_last_cpu = 0, g_last_wall = 0, g_last_told = 0;

}  // namespace

uint64_t cpu_time_us() noexcept {
  const uint64_t wall = read_clock(CLOCK_MONOTONIC);
  if (wall - g_last_wall >= kFreshUs) {
    g_last_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    g_last_wall = wall;
  }
  const uint64_t now = g_last_cpu + (wall - g_last_wall);
  if (now > g_last_told) g_last_told = now;  // it never runs backwards
  return g_last_told;
}

CpuTimerCounts cpu_timer_counts() noexcept { return g_timer.counts; }

#ifdef BH_SANITIZED
void start_cpu_timer() noexcept {}
#else

namespace {

using SigactionFn = int (*)(int, const struct sigaction*, struct sigaction*);
SigactionFn libc_sigaction() {
  static const auto found = reinterpret_cast<SigactionFn>(dlsym(RTLD_NEXT, "sigaction"));
  return found;
}

int set_kernel_timer(int which, const itimerval* value, itimerval* old) {
  return static_cast<int>(syscall(SYS_setitimer, which, value, old));
}

void arm(uint64_t from_now_us, uint64_t at) {
  itimerval value{};
  value.it_value.tv_sec = static_cast<time_t>(from_now_us / 1'000'000);
  value.it_value.tv_usec = static_cast<suseconds_t>(from_now_us % 1'000'000);
  g_timer.armed = at;
  set_kernel_timer(ITIMER_PROF, &value, nullptr);
}

// The kernel's timer fired: perhaps for a request that is long over.
void on_cpu_timer(int signal, siginfo_t* info, void* context) {
  const int kept = errno;
  const uint64_t wanted = g_timer.wanted;
  g_timer.armed = 0;
  if (wanted != 0) {
    const uint64_t now = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    if (wanted > now + kExpiredUs) {
      arm(wanted - now, wanted);
    } else {
      g_timer.wanted = 0;
      if ((g_timer.theirs.sa_flags & SA_SIGINFO) != 0) {
        g_timer.theirs.sa_sigaction(signal, info, context);
      } else {
        g_timer.theirs.sa_handler(signal);
      }
    }
  }
  errno = kept;
}

bool is_handler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

// glibc fills only as much of a set as the kernel knows signals.
bool same_set(const sigset_t& a, const sigset_t& b) {
  return memcmp(&a, &b, sizeof(unsigned long)) == 0;
}

bool same_action(const struct sigaction& a, const struct sigaction& b) {
  return a.sa_flags == b.sa_flags && a.sa_handler == b.sa_handler && same_set(a.sa_mask, b.sa_mask);
}

int install_ours(const struct sigaction& action) {
  if (g_timer.installed && same_action(action, g_timer.theirs)) return 0;
  ++g_timer.counts.passed_on;
  g_timer.theirs = action;
  struct sigaction ours = action;
  ours.sa_sigaction = on_cpu_timer;
  ours.sa_flags |= SA_SIGINFO | SA_RESTART;
  const int result = libc_sigaction()(SIGPROF, &ours, nullptr);
  g_timer.installed = result == 0;
  return result;
}

int set_limit(const itimerval& value) {
  const uint64_t us = static_cast<uint64_t>(value.it_value.tv_sec) * 1'000'000 +
                      static_cast<uint64_t>(value.it_value.tv_usec);
  if (us == 0) {
    g_timer.wanted = 0;
    return 0;
  }
  const uint64_t at = cpu_time_us() + us;
  g_timer.wanted = at;  // first, so that a signal in between arms for it
  const uint64_t armed = g_timer.armed;
  if (armed != 0 && armed <= at) return 0;
  ++g_timer.counts.passed_on;
  arm(us, at);
  return 0;
}

}  // namespace

void start_cpu_timer() noexcept {
  libc_sigaction();
  g_timer.installed = false;
  g_timer.unblocked = false;
  g_timer.wanted = g_timer.armed = 0;
  g_timer.active = true;
}

#endif  // BH_SANITIZED
}  // namespace bulkhead::php

#ifndef BH_SANITIZED
using bulkhead::php::g_timer;

// What is not libphp's time limit goes to the kernel or to libc unchanged.
extern "C" __attribute__((visibility("default"))) int setitimer(__itimer_which_t which,
                                                                const itimerval* value,
                                                                itimerval* old) noexcept {
  if (which != ITIMER_PROF) return bulkhead::php::set_kernel_timer(which, value, old);
  ++g_timer.counts.asked;
  const bool ours = g_timer.active && g_timer.installed && value != nullptr && old == nullptr &&
                    value->it_interval.tv_sec == 0 && value->it_interval.tv_usec == 0;
  if (ours) return bulkhead::php::set_limit(*value);
  ++g_timer.counts.passed_on;
  g_timer.wanted = g_timer.armed = 0;
  if (g_timer.active && value != nullptr && value->it_value.tv_sec + value->it_value.tv_usec != 0) {
    // The handler is not known yet: the first request of a worker sets its timer before it.
    g_timer.wanted = 1;
  }
  return bulkhead::php::set_kernel_timer(which, value, old);
}

extern "C" __attribute__((visibility("default"))) int sigaction(int signal,
                                                                const struct sigaction* action,
                                                                struct sigaction* old) noexcept {
  if (signal != SIGPROF || !g_timer.active) {
    return bulkhead::php::libc_sigaction()(signal, action, old);
  }
  if (old != nullptr && g_timer.installed) {
    *old = g_timer.theirs;
    old = nullptr;
    if (action == nullptr) return 0;
  }
  if (action != nullptr && old == nullptr && bulkhead::php::is_handler(*action)) {
    ++g_timer.counts.asked;
    return bulkhead::php::install_ours(*action);
  }
  if (action != nullptr) g_timer.installed = false;
  return bulkhead::php::libc_sigaction()(signal, action, old);
}

extern "C" __attribute__((visibility("default"))) int sigprocmask(int how, const sigset_t* set,
                                                                  sigset_t* old) noexcept {
  if (how == SIG_UNBLOCK && old == nullptr && set != nullptr && g_timer.active) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGPROF);
    if (bulkhead::php::same_set(only, *set)) {
      ++g_timer.counts.asked;
      if (g_timer.unblocked) return 0;
      ++g_timer.counts.passed_on;
      const int error = pthread_sigmask(how, set, nullptr);
      g_timer.unblocked = error == 0;
      errno = error;
      return error == 0 ? 0 : -1;
    }
  }
  g_timer.unblocked = false;
  const int error = pthread_sigmask(how, set, old);
  if (error != 0) errno = error;
  return error == 0 ? 0 : -1;
}
#endif
