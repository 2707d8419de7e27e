// A site that ends, by itself or by an attacker's will, while front still reads from its ring.
#include <gtest/gtest.h>

#include <cstring>

#include "front/site_harness.h"
#include "sys/shared_memory.h"

namespace bulkhead::front {
namespace {

using namespace std::chrono_literals;
using ring::Frame;
using testing::Recorder;
using testing::TestSite;

void serve(ring::WorkerRing& ring, uint32_t index) {
  std::atomic<bool> stop{false};
  while (ring.wait_for_request(index, 0us, -1ms, stop) == ring::Wait::kRequest) {
    ring.write_frame(Frame::kHead, "Status: 200 OK\r\n\r\n");
    ring.write_frame(Frame::kBody, "some text");
    ring.end({0, 0, 0});
    ring.done();
  }
}

class SiteEndTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop_ = std::move(*loop::EventLoop::create());
    SiteClient::Limits limits;
    limits.silence_max = 100ms;
    client_ = std::make_unique<SiteClient>(
        *loop_,
        SiteClient::Hooks{.wake = [](uint32_t) {},
                          .refused = [this](uint32_t, std::string_view why) { refused_ = why; }},
        limits);
  }
  void TearDown() override {
    recorder_.stream.reset();
    client_.reset();
  }
  Recorder& start() {
    Params params;
    AppRequest request{.site = 7, .params = &params};
    recorder_.consume_max = 0;
    recorder_.stream = client_->start(request, &recorder_);
    return recorder_;
  }
  bool run_until(const std::function<bool()>& done, loop::Millis most = 10s) {
    auto until = loop::Clock::now() + most;
    while (!done()) {
      if (loop::Clock::now() > until) return false;
      loop_->run_once(50ms);
    }
    return true;
  }

  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<SiteClient> client_;
  Recorder recorder_;
  std::string refused_;
};

TEST_F(SiteEndTest, AnOpenerThatStopsAnsweringIsRefused) {
  TestSite site(0, serve);
  client_->on_site_up(7, 1, site.ends());
  run_until([] { return false; }, 150ms);
  EXPECT_EQ(refused_, "") << "nothing was asked";
  FileTicket ticket = client_->open_file(7, "/x", ipc::SymlinkRule::kOwned, 0, [](FileResult&&) {});
  ASSERT_TRUE(run_until([&] { return !refused_.empty(); }, 2s));
  EXPECT_EQ(refused_, "no answer about files for too long");
}

TEST_F(SiteEndTest, OneSiteLeavesConnectionsForTheOthers) {
  client_->limit_waiting(40);
  Params params;
  AppRequest request{.site = 7, .params = &params};
  std::vector<std::unique_ptr<Recorder>> waiting;
  for (int i = 0; i < 41; ++i) {
    waiting.push_back(std::make_unique<Recorder>());
    waiting.back()->stream = client_->start(request, waiting.back().get());
  }
  ASSERT_TRUE(run_until([&] { return waiting.back()->error != AppError::kNone; }, 2s));
  EXPECT_EQ(waiting.back()->error, AppError::kBusy);
  EXPECT_EQ(waiting.front()->error, AppError::kNone);
}

// Frames in a slot that no worker has taken, as only a hostile site writes them.
void answer_untaken(ring::Segment& segment) {
  ring::Slot& slot = segment.slot[0];
  uint32_t at = 0;
  for (auto [kind, text] : {std::pair(Frame::kHead, std::string_view("Status: 200 OK\r\n\r\n    ")),
                            std::pair(Frame::kBody, std::string_view("unread  "))}) {
    ring::FrameHeader header{static_cast<uint32_t>(kind), static_cast<uint32_t>(text.size())};
    std::memcpy(slot.response + at, &header, sizeof header);
    std::memcpy(slot.response + at + sizeof header, text.data(), text.size());
    at += static_cast<uint32_t>(sizeof header + (text.size() + 7) / 8 * 8);
  }
  slot.response_head.store(at);
}

TEST_F(SiteEndTest, WhatIsUnreadOutlivesThePool) {
  auto site = std::make_unique<TestSite>(1, serve);
  client_->on_site_up(7, 1, site->ends());
  Recorder& slow = start();
  ASSERT_TRUE(run_until([&] { return !slow.head.empty(); }));
  run_until([] { return false; }, 20ms);
  site.reset();
  client_->on_site_down(7, 1, 0);
  run_until([] { return false; }, 60ms);
  slow.consume_max = SIZE_MAX;
  slow.drain();
  EXPECT_EQ(slow.error, AppError::kNone);
  EXPECT_EQ(slow.body, "some text");
  EXPECT_TRUE(slow.ended);
}

TEST_F(SiteEndTest, AnAnswerWithoutTakingTheRequestIsNotRepeated) {
  auto site = std::make_unique<TestSite>(0, serve);
  SiteEnds ends = site->ends();
  auto map = std::move(*sys::Mapping::map(ends.segment, ring::kSegmentBytes, "segment"));
  client_->on_site_up(7, 1, std::move(ends));
  Recorder& victim = start();
  answer_untaken(*static_cast<ring::Segment*>(map.data()));
  ASSERT_TRUE(run_until([&] { return !victim.head.empty(); }));
  run_until([] { return false; }, 20ms);
  site.reset();
  client_->on_site_down(7, 1, 0);
  ASSERT_TRUE(run_until([&] { return victim.error != AppError::kNone; }));
  victim.consume_max = SIZE_MAX;
  victim.drain();
  EXPECT_EQ(victim.error, AppError::kClosedInBody);
}

// ---- requests that nobody took wait for the next pool -------------------------------------------
void count_body(ring::WorkerRing& ring, uint32_t index) {
  std::atomic<bool> stop{false};
  while (ring.wait_for_request(index, 0us, -1ms, stop) == ring::Wait::kRequest) {
    std::string body(ring.request().inline_body());
    char bytes[4096];
    for (ssize_t n; (n = ring.read_body(bytes, -1ms)) > 0;) body.append(bytes, n);
    ring.write_frame(Frame::kHead, "Status: 200 OK\r\n\r\n");
    ring.write_frame(Frame::kBody, std::to_string(std::hash<std::string>()(body)));
    ring.end({0, 0, 0});
    ring.done();
  }
}

// Writes its upload again when it is asked to.
struct Repeater : Recorder {
  std::string all;
  int repeats = 0;
  bool on_app_repeat() override {
    upload = all;
    ++repeats;
    return true;
  }
};

TEST_F(SiteEndTest, AnUploadThatNobodyTookGoesToTheNextPool) {
  Repeater sender;
  for (int i = 0; i < 300'000; ++i) sender.all += static_cast<char>('a' + i % 23);
  sender.upload = sender.all;
  Params params;
  AppRequest request{.site = 7, .params = &params, .body_length = sender.all.size()};
  auto first = std::make_unique<TestSite>(0, serve);
  client_->on_site_up(7, 1, first->ends());
  sender.stream = client_->start(request, &sender);
  sender.on_app_writable();
  ASSERT_LT(sender.upload.size(), sender.all.size()) << "a part lies in the ring";
  first.reset();
  client_->on_site_down(7, 1, 0);
  TestSite second(1, count_body);
  client_->on_site_up(7, 2, second.ends());
  ASSERT_TRUE(run_until([&] { return sender.ended || sender.error != AppError::kNone; }));
  EXPECT_EQ(sender.error, AppError::kNone) << sender.detail;
  EXPECT_EQ(sender.repeats, 1);
  EXPECT_EQ(sender.body, std::to_string(std::hash<std::string>()(sender.all)));
  sender.stream.reset();
}

TEST_F(SiteEndTest, ARequestWaitsForThreePoolsThatDieAndNotForFour) {
  for (uint32_t deaths : {3U, 4U}) {
    recorder_ = Recorder();
    uint32_t epoch = deaths * 10;
    auto site = std::make_unique<TestSite>(0, serve);
    client_->on_site_up(7, epoch, site->ends());
    Recorder& patient = start();
    for (uint32_t i = 0; i < deaths; ++i) {
      site.reset();
      client_->on_site_down(7, epoch, 0);
      site = std::make_unique<TestSite>(i + 1 == deaths ? 1 : 0, serve);
      client_->on_site_up(7, ++epoch, site->ends());
    }
    patient.consume_max = SIZE_MAX;
    ASSERT_TRUE(run_until([&] { return patient.ended || patient.error != AppError::kNone; }));
    EXPECT_EQ(patient.error, deaths == 3 ? AppError::kNone : AppError::kClosed) << deaths;
    patient.stream.reset();
    client_->on_site_down(7, epoch, 0);
  }
}

}  // namespace
}  // namespace bulkhead::front
