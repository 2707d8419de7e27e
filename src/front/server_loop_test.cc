// A whole loop of front with real sockets, driven by hand: one thread, port 0, no site.
#include "front/server_loop.h"

#include <gtest/gtest.h>

#include <string>

#include "front/server_loop_fixture.h"

namespace bulkhead::front {
namespace {

using testing::Client;
using testing::ServerLoopTest;

TEST_F(ServerLoopTest, AnswersPipelinedRequestsInOrderAndKeepsTheConnection) {
  configure("", "return 200 \"[$request_uri]\";");
  Client client(port_);
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT");
  turn();
  client.read();
  EXPECT_NE(std::string::npos, client.received.find("[/1]"));
  EXPECT_LT(client.received.find("[/1]"), client.received.find("[/2]"));
  EXPECT_EQ(std::string::npos, client.received.find("[/3]"));
  client.send("TP/1.1\r\nHost: a\r\n\r\n");
  turn();
  EXPECT_TRUE(client.read());
  EXPECT_NE(std::string::npos, client.received.find("[/3]"));
  EXPECT_EQ(3u, shared_.counters.requests.load());
  EXPECT_EQ(1u, shared_.counters.waiting.load());
}

TEST_F(ServerLoopTest, AHeadMayComeByteByByte) {
  configure("", "return 200 ok;");
  Client client(port_);
  for (const char* c = kGet; *c != '\0'; ++c) {
    client.send(std::string_view(c, 1));
    turn(2);
  }
  turn();
  client.read();
  EXPECT_EQ(1u, client.count("HTTP/1.1 200 OK"));
}

TEST_F(ServerLoopTest, ABodyNobodyWantsIsReadAwayBeforeTheNextRequest) {
  configure("", "return 200 ok;");
  Client client(port_);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
  turn();
  client.read();
  EXPECT_EQ(1u, client.count("HTTP/1.1 200 OK"));
  client.send("56789");
  client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  client.send(kGet);
  EXPECT_TRUE(run_until([&] {
    client.read();
    return client.count("HTTP/1.1 200 OK") == 3;
  }));
  EXPECT_FALSE(client.closed);
}

TEST_F(ServerLoopTest, ABrokenChunkInABodyNobodyWantsIsRefused) {
  configure("", "return 200 ok;");
  Client client(port_);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
  client.send(kGet);
  EXPECT_TRUE(run_until_closed(client));
  EXPECT_EQ(1u, client.count("HTTP/1.1 400 Bad Request"));
  EXPECT_EQ(0u, client.count("HTTP/1.1 200"));
}

TEST_F(ServerLoopTest, SaysContinueOnlyToClientsThatWait) {
  configure("client_max_body_size 100;", "location / { return 200 ok; }");
  Client client(port_);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  turn();
  client.read();
  EXPECT_EQ(0u, client.received.find("HTTP/1.1 100 Continue\r\n\r\n"));
  Client refused(port_);
  refused.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\nExpect: 100-continue\r\n\r\n");
  turn();
  refused.read();
  EXPECT_EQ(0u, refused.received.find("HTTP/1.1 413 "));
}

TEST_F(ServerLoopTest, LimitsOfHeadsHaveTheStatusesOfNginx) {
  configure("client_header_buffer_size 100; large_client_header_buffers 2 200;", "return 200 ok;");
  Client uri(port_);
  uri.send("GET /" + std::string(300, 'u') + " HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(run_until_closed(uri));
  EXPECT_EQ(0u, uri.received.find("HTTP/1.1 414 "));
  Client header(port_);
  header.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(300, 'h') + "\r\n\r\n");
  EXPECT_TRUE(run_until_closed(header));
  EXPECT_EQ(0u, header.received.find("HTTP/1.1 400 "));
  EXPECT_EQ(2u, header.count("Request Header Or Cookie Too Large"));
  Client fits(port_);
  fits.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(150, 'h') + "\r\n\r\n");
  turn();
  fits.read();
  EXPECT_EQ(0u, fits.received.find("HTTP/1.1 200 "));
}

TEST_F(ServerLoopTest, ClientsThatStallAreLetGoAndLogged) {
  configure("client_header_timeout 30ms; keepalive_timeout 30ms;", "return 200 ok;");
  Client silent(port_), slow(port_), kept(port_);
  slow.send("GET / HTTP/1.1\r\nHo");
  kept.send(kGet);
  EXPECT_TRUE(run_until_closed(silent));
  EXPECT_TRUE(run_until_closed(slow));
  EXPECT_TRUE(run_until_closed(kept));
  EXPECT_EQ("", slow.received);
  EXPECT_NE(std::string::npos, access().find("\"GET / HTTP/1.1\" 408 0")) << access();
  EXPECT_NE(std::string::npos,
            errors().find("client timed out (110: Connection timed out) while waiting for request, "
                          "client: 127.0.0.1, server: 127.0.0.1:80"));
  EXPECT_EQ(0u, shared_.counters.active.load());
}

TEST_F(ServerLoopTest, AClientThatDoesNotReadIsLetGo) {
  configure("send_timeout 50ms; reset_timedout_connection on;", large());
  Client client(port_);
  for (int i = 0; i < 200; ++i) client.send(kGet);
  ASSERT_TRUE(run_until([&] { return shared_.counters.writing.load() == 1; }));
  EXPECT_TRUE(run_until([&] { return shared_.counters.active.load() == 0; }));
  EXPECT_NE(std::string::npos, errors().find("client timed out (110: Connection timed out)"));
}

TEST_F(ServerLoopTest, AResponseLargerThanTheSocketArrivesWhole) {
  configure("", large());
  Client client(port_);
  std::string requests;
  for (int i = 0; i < 300; ++i) requests += kGet;
  client.send(requests);
  ASSERT_TRUE(client.sent_all_);
  ASSERT_TRUE(run_until([&] {
    client.read(100'000);
    return client.received.size() > 300 * kLarge;
  }));
  EXPECT_EQ(300u, client.count("HTTP/1.1 200 OK"));
}

TEST_F(ServerLoopTest, ClosesWithoutAnAnswerOn444) {
  configure("", "return 444;");
  Client client(port_);
  client.send(kGet);
  EXPECT_TRUE(run_until_closed(client));
  EXPECT_EQ("", client.received);
  EXPECT_NE(std::string::npos, access().find("\" 444 0"));
}

TEST_F(ServerLoopTest, RefusesConnectionsBeyondTheLimitAndReusesIdleOnes) {
  configure("", "return 200 ok;", "worker_connections 3;");
  Client a(port_), b(port_), c(port_);
  for (Client* client : {&a, &b, &c}) client->send("GET / HT");
  turn();
  Client d(port_);
  EXPECT_TRUE(run_until_closed(d));
  EXPECT_NE(std::string::npos, errors().find("[alert]"));
  EXPECT_NE(std::string::npos, errors().find("3 worker_connections are not enough"));
  a.send("TP/1.0\r\n\r\n");
  b.send("TP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(run_until_closed(a));
  turn();
  Client e(port_), f(port_);  // one takes a's place, the other that of b, which is idle
  e.send(kGet);
  f.send(kGet);
  turn(50);
  e.read();
  f.read();
  EXPECT_EQ(1u, e.count("200 OK"));
  EXPECT_EQ(1u, f.count("200 OK"));
  EXPECT_TRUE(run_until_closed(b));
}

TEST_F(ServerLoopTest, RequestsEndByTheConfigurationTheyBeganWith) {
  configure("", "return 200 one;");
  EXPECT_EQ(1u, settled_);
  Client idle(port_), half(port_);
  idle.send(kGet);
  half.send("GET / HTTP/1.1\r\nHost:");
  turn();
  int old_access = access_fd_;
  configure("", "return 200 two;");
  turn();
  EXPECT_EQ(1u, settled_) << "a request of the old configuration is still there";
  half.send(" a\r\n\r\n");
  idle.send(kGet);
  turn();
  half.read();
  idle.read();
  EXPECT_EQ(1u, half.count("one"));
  EXPECT_EQ(1u, idle.count("one"));
  EXPECT_EQ(1u, idle.count("two"));
  EXPECT_FALSE(idle.closed);
  EXPECT_EQ(2u, settled_);
  EXPECT_NE(std::string::npos, contents(old_access).find("GET / "));
}

TEST_F(ServerLoopTest, QuitLetsRequestsFinishAndClosesWhatIsIdle) {
  configure("", "return 200 ok;");
  Client idle(port_), busy(port_);
  idle.send(kGet);
  busy.send("GET / HT");
  turn();
  loop_->quit();
  EXPECT_TRUE(run_until_closed(idle));
  EXPECT_FALSE(loop_->settled());
  busy.send("TP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(run_until_closed(busy));
  EXPECT_EQ(1u, busy.count("200 OK"));
  EXPECT_TRUE(run_until([&] { return loop_->settled(); }));
}

TEST_F(ServerLoopTest, AClientThatResetsCostsNothing) {
  configure("", large());
  for (int i = 0; i < 50; ++i) {
    Client client(port_);
    for (int j = 0; j < 50; ++j) client.send(kGet);
    turn(i % 5);
  }
  EXPECT_TRUE(run_until([&] { return shared_.counters.active.load() == 0; }));
  EXPECT_EQ(0u, shared_.counters.writing.load());
  EXPECT_EQ(0u, shared_.counters.reading.load());
  EXPECT_EQ(0u, shared_.counters.waiting.load());
}

}  // namespace
}  // namespace bulkhead::front
