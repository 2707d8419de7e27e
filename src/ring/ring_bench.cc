// What one request over the ring costs: front and a worker process on the same machine.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/ring_harness.h"

namespace {

using namespace bulkhead::ring;
using namespace std::chrono_literals;

void echo(WorkerRing& ring, std::chrono::microseconds spin) {
  std::atomic<bool> stop{false};
  while (ring.wait_for_request(0, spin, -1ms, stop) == Wait::kRequest) {
    ring.write_frame(Frame::kHead, "Content-type: text/html\r\n\r\n");
    ring.write_frame(Frame::kBody, "Hello, world\n");
    ring.done();
  }
}

// `batch` requests are in flight at once; the argument is that number.
void BM_RoundTrip(benchmark::State& state) {
  testing::Shared shared;
  pid_t worker = ::fork();
  if (worker == 0) {
    echo(*shared.worker, std::chrono::microseconds(state.range(1)));
    ::_exit(0);
  }
  int64_t batch = state.range(0);
  std::vector<int> slots;
  for (auto _ : state) {
    slots.clear();
    for (int64_t i = 0; i < batch; ++i) {
      slots.push_back(testing::submit(*shared.front, "SCRIPT_FILENAME", "/var/www/index.php"));
    }
    for (int slot : slots) {
      for (;;) {
        FrameView frame;
        if (shared.front->next_frame(slot, frame) == Next::kFrame) {
          shared.front->free_to(slot, frame.end);
        } else if (shared.front->release(slot)) {
          break;
        }
      }
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
}
BENCHMARK(BM_RoundTrip)
    ->ArgNames({"in_flight", "worker_spin_us"})
    ->Args({1, 0})
    ->Args({1, 50})
    ->Args({16, 0})
    ->Args({16, 50})
    ->UseRealTime();

}  // namespace
