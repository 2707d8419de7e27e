// What one client or site may do in one turn of a loop, counted in turns, not in time.
#include <gtest/gtest.h>

#include <string>

#include "front/server_loop.h"
#include "front/server_loop_fixture.h"

namespace bulkhead::front {
namespace {

using testing::Client;
using testing::ServerLoopTest;

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST_F(ServerLoopTest, APipelineOfRequestsIsAnsweredInSeveralTurns) {
  configure("", "return 200 ok;");
  Client greedy(port_);
  turn();
  greedy.send(repeat(kGet, 100));
  uint64_t before = 0, most = 0;
  int turns = 0;
  for (; turns < 100 && before < 100; ++turns) {
    turn(1);
    const uint64_t now = shared_.counters.requests.load();
    most = std::max(most, now - before);
    before = now;
  }
  EXPECT_EQ(100u, before);
  // Sixteen when it is ready, sixteen more when it goes on in the same turn.
  EXPECT_LE(most, 32u);
  greedy.read();
  EXPECT_EQ(100u, greedy.count("HTTP/1.1 200 OK"));
}

TEST_F(ServerLoopTest, ANeighbourIsAnsweredInTheMiddleOfAPipeline) {
  configure("", "return 200 ok;");
  Client greedy(port_), neighbour(port_);
  turn();
  greedy.send(repeat(kGet, 300));
  turn(1);
  neighbour.send(kGet);
  turn(2);
  neighbour.read();
  EXPECT_EQ(1u, neighbour.count("HTTP/1.1 200 OK"));
  EXPECT_LT(shared_.counters.requests.load(), 200u) << "the pipeline was not first";
  EXPECT_TRUE(run_until([&] {
    greedy.read();
    return greedy.count("HTTP/1.1 200 OK") == 300;
  }));
}

TEST_F(ServerLoopTest, AnUploadThatNeverPausesDoesNotHoldTheLoop) {
  configure("client_max_body_size 0;", "return 200 ok;");
  Client sender(port_), neighbour(port_);
  turn();
  sender.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  const std::string part(1 << 20, 'x');
  turn(2);
  for (int i = 0; i < 20; ++i) {
    sender.send(part);  // as much as the kernel takes: more than one turn reads
    neighbour.send(kGet);
    turn(2);
    neighbour.read();
    EXPECT_EQ(static_cast<size_t>(i + 1), neighbour.count("HTTP/1.1 200 OK"));
  }
}

}  // namespace
}  // namespace bulkhead::front
