// What the filter for sites costs: building it (once per zygote), installing it (once per pool),
// and each system call under it.
#include <benchmark/benchmark.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"

namespace bulkhead::sandbox {
namespace {

template <class Body>
void in_fork(Body body) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    body();
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
}

void BM_Build(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Filter::for_site());
}
BENCHMARK(BM_Build)->Unit(benchmark::kMicrosecond);

void BM_Fork(benchmark::State& state) {
  for (auto _ : state) in_fork([] {});
}
BENCHMARK(BM_Fork)->Unit(benchmark::kMicrosecond)->UseRealTime();

void BM_ForkAndInstall(benchmark::State& state) {
  Filter filter = *Filter::for_site();
  for (auto _ : state) {
    in_fork([&] {
      if (!install(filter)) ::abort();
    });
  }
  state.counters["instructions"] = static_cast<double>(filter.instructions());
}
BENCHMARK(BM_ForkAndInstall)->Unit(benchmark::kMicrosecond)->UseRealTime();

void BM_ForkAndLandlock(benchmark::State& state) {
  LandlockRules rules;
  for (const char* path : {"/usr", "/etc", "/lib", "/bin", "/tmp", "/dev"}) {
    rules.paths.push_back({path, PathRule::kReadExec});
  }
  for (auto _ : state) {
    in_fork([&] {
      if (!restrict_by_landlock(rules)) ::abort();
    });
  }
}
BENCHMARK(BM_ForkAndLandlock)->Unit(benchmark::kMicrosecond)->UseRealTime();

void BM_CallWithoutFilter(benchmark::State& state) {
  for (auto _ : state) ::syscall(SYS_getppid);
}
BENCHMARK(BM_CallWithoutFilter);

// Last: it cannot be taken off again.
void BM_CallWithFilter(benchmark::State& state) {
  static const bool installed = [] {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return install(*Filter::for_site()).has_value();
  }();
  if (!installed) state.SkipWithError("the filter could not be installed");
  for (auto _ : state) ::syscall(SYS_getppid);
}
BENCHMARK(BM_CallWithFilter);

}  // namespace
}  // namespace bulkhead::sandbox
