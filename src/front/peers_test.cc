// Runs in: front_test.  Where requests go is compared with nginx itself by tests/differential; here
// are time, counts and limits.
#include "front/peers.h"

#include <gtest/gtest.h>

#include <map>

#include "front/plan.h"

namespace bulkhead::front {
namespace {

using Outcome = PeerChoice::Outcome;
using Method = config::Upstream::Method;
using std::chrono::milliseconds;
using std::chrono::seconds;

class PeersTest : public testing::Test {
 protected:
  PeerPlan& add(const std::string& address) {
    source_.servers.emplace_back().address = address;
    PeerPlan& peer = plan_.peers.emplace_back();
    peer.address = address;
    peer.server = static_cast<uint32_t>(source_.servers.size() - 1);
    return peer;
  }
  void build(Method method) {
    source_.method = method;
    plan_.source = &source_;
    if (source_.consistent) plan_.points = make_hash_points(plan_);
    group_ = std::make_shared<PeerGroup>(plan_);
  }
  void begin(PeerChoice& choice, std::string_view key = "") { choice.begin(group_, key, now_); }
  // One request that is served, or fails on `failing`; the server it went to.
  uint32_t ask(uint32_t failing = config::kNone, std::string_view key = "") {
    PeerChoice choice;
    begin(choice, key);
    uint32_t peer = choice.next(now_);
    if (peer == failing) verdict_ = choice.end(Outcome::kFailed, now_);
    return peer;
  }

  config::Upstream source_;
  UpstreamPlan plan_;
  std::shared_ptr<PeerGroup> group_;
  PeerTime now_ = PeerTime() + std::chrono::hours(1);
  PeerChoice::Verdict verdict_ = PeerChoice::Verdict::kNothing;
};

TEST_F(PeersTest, AFailedServerIsLeftOutForFailTimeoutAndThenTriedOnce) {
  add("a");
  add("b");
  build(Method::kRoundRobin);
  EXPECT_EQ(ask(0), 0U);
  EXPECT_EQ(verdict_, PeerChoice::Verdict::kDisabled);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(), 1U);
  now_ += seconds(10);  // not longer than the timeout: still out
  EXPECT_EQ(ask(), 1U);
  now_ += milliseconds(1);
  std::map<uint32_t, int> served;
  for (int i = 0; i < 3; ++i) ++served[ask(0)];
  EXPECT_EQ(served[0], 1);  // failed again: out again
  now_ += milliseconds(10'001);
  for (int i = 0; i < 20; ++i) ++served[ask()];
  EXPECT_GT(served[0], 9);  // served: all is forgotten
}

TEST_F(PeersTest, SoManyFailuresAsAreAllowedCount) {
  add("a").max_fails = 3;
  add("b").max_fails = 0;
  build(Method::kRoundRobin);
  int failures = 0;
  for (int i = 0; i < 40; ++i) failures += ask(0) == 0 ? 1 : 0;
  EXPECT_EQ(failures, 3);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(ask(1), 1U);  // any number may fail here
}

TEST_F(PeersTest, AConnectionCountsUntilItsRequestIsOver) {
  add("a").max_conns = 1;
  add("b").max_conns = 1;
  build(Method::kLeastConn);
  PeerChoice first, second, third;
  for (PeerChoice* choice : {&first, &second, &third}) begin(*choice);
  EXPECT_EQ(first.next(now_), 0U);
  EXPECT_EQ(second.next(now_), 1U);
  EXPECT_EQ(third.next(now_), config::kNone);
  first.release();
  first.release();  // once is enough
  EXPECT_EQ(third.next(now_), 0U);
  EXPECT_EQ(third.next(now_), config::kNone);  // tried already, and free again
  EXPECT_EQ(ask(), 0U);
  EXPECT_EQ(ask(), 0U);
}

TEST_F(PeersTest, TheOnlyServerIsNeverLeftOut) {
  add("a").max_conns = 2;
  build(Method::kRoundRobin);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(0), 0U);
  EXPECT_EQ(verdict_, PeerChoice::Verdict::kNothing);
  PeerChoice one, two, three;
  for (PeerChoice* choice : {&one, &two, &three}) begin(*choice);
  EXPECT_EQ(one.next(now_), 0U);
  EXPECT_EQ(two.next(now_), 0U);
  EXPECT_EQ(three.next(now_), config::kNone);
}

TEST_F(PeersTest, TriesAreTheServersThatAreNotDown) {
  add("a");
  add("b").down = true;
  add("c").backup = true;
  build(Method::kRoundRobin);
  PeerChoice choice;
  begin(choice);
  EXPECT_EQ(choice.tries_left(), 2U);
  EXPECT_EQ(choice.next(now_), 0U);
  choice.end(Outcome::kFailed, now_);
  EXPECT_EQ(choice.tries_left(), 1U);
  EXPECT_EQ(choice.next(now_), 2U);
  choice.end(Outcome::kRefused, now_);
  EXPECT_EQ(choice.tries_left(), 0U);
  EXPECT_EQ(choice.next(now_), config::kNone);
  begin(choice);
  choice.limit_tries(1);
  EXPECT_EQ(choice.tries_left(), 1U);
}

TEST_F(PeersTest, ARefusalIsNoFailure) {
  add("a");
  add("b");
  build(Method::kRoundRobin);
  for (int i = 0; i < 6; ++i) {
    PeerChoice choice;
    begin(choice);
    EXPECT_EQ(choice.next(now_), static_cast<uint32_t>(i % 2));
    EXPECT_EQ(choice.end(Outcome::kRefused, now_), PeerChoice::Verdict::kNothing);
  }
}

TEST_F(PeersTest, MoreServersThanAWordHasBits) {
  for (int i = 0; i < 150; ++i) add("s" + std::to_string(i));
  build(Method::kRoundRobin);
  PeerChoice choice;
  begin(choice);
  std::map<uint32_t, int> asked;
  for (int i = 0; i < 150; ++i) {
    ++asked[choice.next(now_)];
    choice.end(Outcome::kFailed, now_);
  }
  EXPECT_EQ(asked.size(), 150U);
  EXPECT_EQ(choice.next(now_), config::kNone);
}

TEST_F(PeersTest, AnUpstreamWhoseNamesResolveToNothingServesNobody) {
  for (bool consistent : {false, true}) {
    source_.consistent = consistent;
    for (Method method : {Method::kRoundRobin, Method::kLeastConn, Method::kRandom, Method::kIpHash,
                          Method::kHash}) {
      build(method);
      EXPECT_EQ(ask(config::kNone, "key"), config::kNone);
    }
  }
}

TEST_F(PeersTest, AHashSurvivesServersThatAreAllBusy) {
  source_.consistent = true;
  for (const char* name : {"127.0.0.1:1", "127.0.0.1:2"}) add(name).max_conns = 1;
  for (Method method : {Method::kHash, Method::kIpHash, Method::kRandom}) {
    build(method);
    PeerChoice one, two, three;
    for (PeerChoice* choice : {&one, &two, &three}) begin(*choice, "abcd");
    EXPECT_EQ(one.next(now_) + two.next(now_), 1U);
    EXPECT_EQ(three.next(now_), config::kNone);
  }
}

TEST_F(PeersTest, ACircleHasItsPointsInOrderAndOnce) {
  source_.consistent = true;
  add("127.0.0.1:9000").weight = 3;
  add("unix:/a.sock");
  add("unix:/a.sock").server = 1;
  build(Method::kHash);
  ASSERT_EQ(plan_.points->size(), 4U * 160);  // the double adds none
  for (size_t i = 1; i < plan_.points->size(); ++i) {
    EXPECT_LT((*plan_.points)[i - 1].hash, (*plan_.points)[i].hash);
  }
}

}  // namespace
}  // namespace bulkhead::front
