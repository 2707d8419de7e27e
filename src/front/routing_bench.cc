// What routing and sending one response cost in front: server names and locations by their number,
// a whole request through the phases, the response writer on a socket.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include "front/phases_fixture.h"
#include "front/response_writer.h"

namespace bulkhead::front {
namespace {

std::string servers(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    text +=
        "server { listen 80; server_name site" + std::to_string(i) + ".example; return 204; }\n";
  }
  return text;
}

void find_server(benchmark::State& state) {
  TestFront front(servers(state.range(0)));
  const std::string host = "site" + std::to_string(state.range(0) / 2) + ".example";
  const ServerNames& names = front.plan->names(0);
  for (auto _ : state) benchmark::DoNotOptimize(names.find(host, nullptr));
}
BENCHMARK(find_server)->Arg(1)->Arg(100)->Arg(10'000);

// A request that ends in the last of so many prefix locations.
void find_location(benchmark::State& state) {
  std::string text = "server { listen 80;";
  for (int64_t i = 0; i < state.range(0); ++i) {
    text += " location /dir" + std::to_string(i) + "/ { return 204; }";
  }
  TestFront front(text + " }");
  const LocationTable& locations = front.plan->server(0).root->children;
  const std::string path = "/dir" + std::to_string(state.range(0) - 1) + "/page";
  for (auto _ : state) {
    const LocationPlan *found = nullptr, *matched = nullptr;
    benchmark::DoNotOptimize(locations.find(path, &found, nullptr, &matched));
  }
}
BENCHMARK(find_location)->Arg(1)->Arg(10)->Arg(1000);

// Parser, phases and head of a whole request, without sockets.
void whole_request(benchmark::State& state) {
  TestFront front(servers(1));
  for (auto _ : state) benchmark::DoNotOptimize(front.get("/"));
}
BENCHMARK(whole_request);

class OneBody : public BodySource {
 public:
  explicit OneBody(std::string_view bytes) : bytes_(bytes) {}
  void next(BodyRun& run) override {
    if (done_ == bytes_.size()) {
      run.kind = BodyRun::Kind::kEnd;
      return;
    }
    run.kind = BodyRun::Kind::kMemory;
    run.add(bytes_.data() + done_, bytes_.size() - done_);
    run.last = true;
  }
  void consumed(uint64_t bytes) override { done_ += static_cast<size_t>(bytes); }

 private:
  std::string_view bytes_;
  size_t done_ = 0;
};

// Head and body of `bytes` into a socket, and out of it again.
void write_response(benchmark::State& state) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) {
    state.SkipWithError("socketpair() failed");
    return;
  }
  ClientSocket socket;
  socket.fd.reset(pair[0]);
  sys::Fd peer(pair[1]);
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  std::string sink(body.size() + 1024, '\0');
  Exchange ex;
  ResponseWriter writer;
  for (auto _ : state) {
    ex.reset();
    ex.head = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 1024\r\n\r\n";
    OneBody source(body);
    writer.start(ex, &source, {});
    if (writer.pump(socket, {}) != ResponseWriter::Outcome::kDone) {
      state.SkipWithError("the socket took less than one response");
      return;
    }
    benchmark::DoNotOptimize(::read(peer.get(), sink.data(), sink.size()));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(write_response)->Arg(1024)->Arg(32 * 1024);

}  // namespace
}  // namespace bulkhead::front
