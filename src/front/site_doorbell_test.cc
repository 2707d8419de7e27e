// The message that makes a pool start a worker: once per arming, and not lost in a full channel.
#include <gtest/gtest.h>

#include <cstring>

#include "front/site_harness.h"
#include "sys/message.h"

namespace bulkhead::front {
namespace {

using namespace std::chrono_literals;
using testing::Recorder;
using testing::TestSite;

class SiteDoorbellTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client_->on_site_up(7, 1, site_.ends());
    ASSERT_TRUE(site_.ring().arm_doorbell());
  }
  void TearDown() override {
    recorders_.clear();
    tickets_.clear();
    client_.reset();
  }
  void ask_php() {
    recorders_.push_back(std::make_unique<Recorder>());
    const Params params;
    const AppRequest request{.site = 7, .params = &params};
    recorders_.back()->stream = client_->start(request, recorders_.back().get());
  }
  // Doorbells and questions about files that have arrived.
  struct Arrived {
    int doorbells = 0, questions = 0;
  };
  Arrived arrived() {
    Arrived all;
    std::string buffer(sizeof(ipc::FileRequest) + ipc::kPathMax, '\0');
    size_t size = 0;
    std::vector<sys::Fd> fds;
    while (sys::receive_message(site_.channel(), buffer, &size, &fds) ==
           sys::ReceiveResult::kMessage) {
      ipc::FileRequest request;
      std::memcpy(&request, buffer.data(), sizeof request);
      ++(request.op == ipc::FileOp::kSpawn ? all.doorbells : all.questions);
    }
    return all;
  }

  std::unique_ptr<loop::EventLoop> loop_ = std::move(*loop::EventLoop::create());
  std::unique_ptr<SiteClient> client_ = std::make_unique<SiteClient>(
      *loop_,
      SiteClient::Hooks{.wake = [](uint32_t) {}, .refused = [](uint32_t, std::string_view) {}});
  TestSite site_{0, [](ring::WorkerRing&, uint32_t) {}};
  std::vector<std::unique_ptr<Recorder>> recorders_;
  std::vector<FileTicket> tickets_;
};

TEST_F(SiteDoorbellTest, RingsOnceWhenNobodyIsIdle) {
  ask_php();
  ask_php();
  loop_->run_once(0ms);  // told at the end of the turn
  EXPECT_EQ(arrived().doorbells, 1);
  ask_php();
  loop_->run_once(0ms);
  EXPECT_EQ(arrived().doorbells, 0) << "once per arming";
}

TEST_F(SiteDoorbellTest, RingsLaterWhenTheChannelIsFull) {
  const std::string path(4000, 'x');
  constexpr int kQuestions = 400;
  for (int i = 0; i < kQuestions; ++i) {
    tickets_.push_back(
        client_->open_file(7, path, ipc::SymlinkRule::kOwned, 0, [](FileResult&&) {}));
  }
  ask_php();
  loop_->run_once(0ms);
  Arrived first = arrived();
  ASSERT_LT(first.questions, kQuestions) << "the channel was not full";
  EXPECT_EQ(first.doorbells, 0);
  loop_->run_once(0ms);
  Arrived second = arrived();
  EXPECT_EQ(second.doorbells, 1) << "before the questions that wait";
  int questions = first.questions + second.questions;
  for (int turn = 0; turn < 100 && questions < kQuestions; ++turn) {
    loop_->run_once(0ms);
    questions += arrived().questions;
  }
  EXPECT_EQ(questions, kQuestions);
}

}  // namespace
}  // namespace bulkhead::front
