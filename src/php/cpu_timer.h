// PHP's time limit without its system calls: libphp sets the CPU timer and its signal handler three
// times per request; here they are set once and looked at when the timer fires.
//
// Runs in: worker.  Input: trusted (libphp's own calls).  Threads: the one that runs PHP.
// How: this program's setitimer(), sigaction() and sigprocmask() come before libc's for libphp. The
// kernel's timer stays armed from an earlier request; a request only notes at which CPU time it
// must end.  When the timer fires too early for the request that runs, it is set again for what is
// left.  Sanitizer builds have interceptors of their own there and keep PHP's calls as they are.
// Ref: php-8.2 Zend/zend_execute_API.c zend_set_timeout(); setitimer(2), sigaction(2).
#pragma once

#include <cstdint>

namespace bulkhead::php {

// CPU time of this process in microseconds.  Read from the kernel at most once per millisecond of
// wall time; between two readings it is taken to run as fast as the clock on the wall.
uint64_t cpu_time_us() noexcept;

// From now on libphp's timer calls are answered here (in a worker, after its signals are set up).
void start_cpu_timer() noexcept;

// How often libphp asked for something, and how often the kernel was asked, since the start.
struct CpuTimerCounts {
  uint64_t asked = 0, passed_on = 0;
};
CpuTimerCounts cpu_timer_counts() noexcept;

}  // namespace bulkhead::php
