#include "front/site_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>

#include "front/site_harness.h"
#include "sys/message.h"

namespace bulkhead::front {
namespace {

using namespace std::chrono_literals;
using ring::Frame;
using ring::WorkerRing;
using testing::Recorder;
using testing::TestSite;

// Takes requests and answers each by what its param VALUE says.
void serve(WorkerRing& ring, uint32_t index) {
  std::atomic<bool> stop{false};
  while (ring.wait_for_request(index, 0us, -1ms, stop) == ring::Wait::kRequest) {
    std::string_view name, value;
    ring.request().next(name, value);
    const std::string head = "Status: 200 OK\r\nContent-Type: text/html\r\n\r\n";
    if (value == "hang") {
      ::pause();
    } else if (value == "crash") {
      ::_exit(1);
    } else if (value == "crash-in-body") {
      ring.write_frame(Frame::kHead, head);
      ring.write_frame(Frame::kBody, "half");
      ring.publish();
      ::_exit(1);
    } else if (value == "no-head") {
      ring.write_frame(Frame::kBody, "body");
    } else if (value == "big-head") {
      ring.write_frame(Frame::kHead, std::string(70'000, 'h'));
    } else if (value == "download") {
      ring.write_frame(Frame::kHead, head);
      for (int i = 0; i < 300; ++i) {
        ring.write_frame(Frame::kBody, std::string(10'000, static_cast<char>('a' + i % 26)));
        if (i % 100 == 0) ring.write_frame(Frame::kStderr, "line\n");
      }
      ring.flush();
    } else if (value == "upload") {
      size_t sum = 0, bytes = 0;
      char buffer[5000];
      ssize_t n;
      while ((n = ring.read_body(buffer, 5000ms)) > 0) {
        for (ssize_t i = 0; i < n; ++i) sum += static_cast<unsigned char>(buffer[i]);
        bytes += static_cast<size_t>(n);
      }
      ring.write_frame(Frame::kHead, head);
      ring.write_frame(Frame::kBody, std::to_string(bytes) + " " + std::to_string(sum));
    } else {
      ring.write_frame(Frame::kHead, head);
      ring.write_frame(Frame::kBody, value);
      ring.end({3, 4, 5});
    }
    ring.done();
  }
}

class SiteClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop_ = std::move(*loop::EventLoop::create());
    client_ = std::make_unique<SiteClient>(
        *loop_,
        SiteClient::Hooks{.wake = [this](uint32_t site) { woken_.push_back(site); },
                          .refused = [this](uint32_t, std::string_view why) { refused_ = why; }});
  }
  void TearDown() override {
    recorders_.clear();
    client_.reset();
  }
  void up(TestSite& site, uint32_t epoch = 1) { client_->on_site_up(7, epoch, site.ends()); }

  Recorder& start(const std::string& value, std::string_view inlined = {}, size_t total = 0,
                  loop::Millis read_timeout = 10s, uint32_t queue_max = 511) {
    recorders_.push_back(std::make_unique<Recorder>());
    Recorder& recorder = *recorders_.back();
    Params params;
    params.add("VALUE", value);
    AppRequest request{.site = 7,
                       .params = &params,
                       .body_length = total == 0 ? inlined.size() : total,
                       .inline_body = inlined,
                       .read_timeout = read_timeout,
                       .queue_max = queue_max};
    recorder.stream = client_->start(request, &recorder);
    return recorder;
  }
  bool run_until(const std::function<bool()>& done, loop::Millis most = 10s) {
    auto until = loop::Clock::now() + most;
    while (!done()) {
      if (loop::Clock::now() > until) return false;
      loop_->run_once(50ms);
    }
    return true;
  }
  bool run_until_over(Recorder& r) {
    return run_until([&r] { return r.over(); });
  }

  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<SiteClient> client_;
  std::vector<std::unique_ptr<Recorder>> recorders_;
  std::vector<uint32_t> woken_;
  std::string refused_;
};

TEST_F(SiteClientTest, WakesTheSiteAndServesWhatWaited) {
  Recorder& first = start("one");
  Recorder& second = start("two");
  EXPECT_EQ(woken_, std::vector<uint32_t>{7}) << "asked once";
  TestSite site(1, serve);
  up(site);
  ASSERT_TRUE(run_until_over(first));
  ASSERT_TRUE(run_until_over(second));
  EXPECT_EQ(first.head, "Status: 200 OK\r\nContent-Type: text/html\r\n\r\n");
  EXPECT_EQ(first.body, "one");
  EXPECT_EQ(second.body, "two");
  EXPECT_EQ(first.stream->end().app_status, 3U);
  EXPECT_EQ(first.stream->end().memory_peak, 5U);
}

TEST_F(SiteClientTest, QueuesMoreRequestsThanThereAreSlots) {
  TestSite site(2, serve);
  up(site);
  for (int i = 0; i < 200; ++i) start(std::to_string(i));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(run_until_over(*recorders_[i])) << i;
    EXPECT_EQ(recorders_[i]->body, std::to_string(i));
    recorders_[i]->stream.reset();
  }
  EXPECT_EQ(site.ring().accepted(), 200U);
  EXPECT_GT(site.ring().queue_max(), 100U);
  EXPECT_EQ(site.ring().queue_length(), 0U);
  EXPECT_EQ(client_->outstanding(), 0U);
}

TEST_F(SiteClientTest, RefusesWhatTheQueueDoesNotHold) {
  start("a", {}, 0, 10s, 1);
  Recorder& over = start("b", {}, 0, 10s, 1);
  EXPECT_EQ(over.error, AppError::kNone) << "never from inside start()";
  ASSERT_TRUE(run_until_over(over));
  EXPECT_EQ(over.error, AppError::kBusy);
}

TEST_F(SiteClientTest, FailsWhatWaitsForASiteThatCannotStart) {
  Recorder& request = start("a");
  int error = 0;
  FileTicket ticket = client_->open_file(7, "/x", ipc::SymlinkRule::kOwned, 0,
                                         [&](FileResult&& r) { error = r.error; });
  client_->on_site_down(7, 1, 1);
  ASSERT_TRUE(run_until_over(request));
  EXPECT_EQ(request.error, AppError::kConnect);
  ASSERT_TRUE(run_until([&] { return error != 0; }));
  EXPECT_EQ(error, EHOSTDOWN);
  Recorder& soon = start("b");
  ASSERT_TRUE(run_until_over(soon));
  EXPECT_EQ(woken_.size(), 1U) << "not as fast as clients ask";
  run_until([] { return false; }, 120ms);
  Recorder& later = start("c");
  EXPECT_EQ(woken_.size(), 2U) << "a later request tries again";
  client_->on_site_down(7, 0, 1);  // master's answer when it does not even try
  ASSERT_TRUE(run_until_over(later));
  EXPECT_EQ(woken_.size(), 2U);
}

TEST_F(SiteClientTest, AWorkerThatDiesCostsItsRequestOnly) {
  TestSite site(2, serve);
  up(site);
  ASSERT_TRUE(run_until([&] { return site.is_asleep(); }));
  Recorder& victim = start("crash");
  ASSERT_TRUE(run_until([&] { return site.reap_any(); }));
  ASSERT_TRUE(run_until_over(victim));
  EXPECT_EQ(victim.error, AppError::kClosed);
  Recorder& next = start("next");
  ASSERT_TRUE(run_until_over(next));
  EXPECT_EQ(next.body, "next");
}

TEST_F(SiteClientTest, ADeathInTheBodyDeliversWhatWasWritten) {
  TestSite site(1, serve);
  up(site);
  ASSERT_TRUE(run_until([&] { return site.is_asleep(); }));
  Recorder& victim = start("crash-in-body");
  ASSERT_TRUE(run_until([&] { return site.reap(0); }));
  ASSERT_TRUE(run_until_over(victim));
  EXPECT_EQ(victim.body, "half");
  EXPECT_EQ(victim.error, AppError::kClosedInBody);
}

TEST_F(SiteClientTest, TimesOutAndAbortsTheRequest) {
  TestSite site(1, serve);
  up(site);
  Recorder& slow = start("hang", {}, 0, 50ms);
  ASSERT_TRUE(run_until_over(slow));
  EXPECT_EQ(slow.error, AppError::kTimeout);
}

TEST_F(SiteClientTest, RefusesInvalidResponses) {
  TestSite site(1, serve);
  up(site);
  for (const char* kind : {"no-head", "big-head"}) {
    Recorder& r = start(kind);
    ASSERT_TRUE(run_until_over(r)) << kind;
    EXPECT_EQ(r.error, AppError::kInvalid) << kind;
    EXPECT_EQ(r.head, "");
  }
  Recorder& fine = start("fine");
  ASSERT_TRUE(run_until_over(fine));
  EXPECT_EQ(fine.body, "fine");
}

TEST_F(SiteClientTest, StreamsBodiesBothWays) {
  TestSite site(1, serve);
  up(site);
  Recorder& up = start("upload", "inline", 1'000'006);
  up.upload = std::string(1'000'000, '\x01');
  up.send();
  ASSERT_TRUE(run_until_over(up));
  size_t inline_sum = 0;
  for (unsigned char c : std::string_view("inline")) inline_sum += c;
  EXPECT_EQ(up.body, "1000006 " + std::to_string(1'000'000 + inline_sum));

  Recorder& down = start("download");
  ASSERT_TRUE(run_until_over(down));
  EXPECT_EQ(down.body.size(), 3'000'000U);
  EXPECT_EQ(down.body.substr(29 * 10'000, 1), "d");
  EXPECT_EQ(down.err, "line\nline\nline\n");
  EXPECT_EQ(down.flushes, 1);
}

TEST_F(SiteClientTest, ASlowReaderHoldsTheWorkerBackWithoutTimingOut) {
  TestSite site(1, serve);
  up(site);
  Recorder& slow = start("download", {}, 0, 200ms);
  slow.consume_max = 0;
  run_until([] { return false; }, 400ms);
  EXPECT_EQ(slow.error, AppError::kNone);
  slow.consume_max = 50'000;
  ASSERT_TRUE(run_until([&] {
    slow.drain();
    return slow.over();
  }));
  EXPECT_EQ(slow.body.size(), 3'000'000U);
}

TEST_F(SiteClientTest, RepeatsWhatNoWorkerHadTakenWhenThePoolDies) {
  auto site = std::make_unique<TestSite>(1, serve);
  up(*site);
  Recorder& running = start("hang");
  ASSERT_TRUE(run_until([&] { return site->ring().is_busy(0); }));
  Recorder& waiting = start("waiting");
  run_until([] { return false; }, 20ms);
  site.reset();
  ASSERT_TRUE(run_until_over(running));
  EXPECT_EQ(running.error, AppError::kClosed);
  EXPECT_EQ(waiting.error, AppError::kNone);
  EXPECT_EQ(woken_.size(), 1U);
  client_->on_site_down(7, 1, 0);
  EXPECT_EQ(woken_.size(), 2U) << "asked again: the first may have been taken for the old one";
  TestSite next(1, serve);
  up(next, 2);
  ASSERT_TRUE(run_until_over(waiting));
  EXPECT_EQ(waiting.body, "waiting");
}

TEST_F(SiteClientTest, AStoppedSiteFinishesWhatRuns) {
  TestSite old(1, serve);
  up(old);
  Recorder& upload = start("upload", {}, 3);
  ASSERT_TRUE(run_until([&] { return old.ring().is_busy(0); }));
  client_->on_site_down(7, 1, 2);
  Recorder& later = start("later");
  EXPECT_EQ(woken_.size(), 1U);
  TestSite fresh(1, serve);
  up(fresh, 2);
  ASSERT_TRUE(run_until_over(later));
  upload.upload = "abc";
  upload.send();
  ASSERT_TRUE(run_until_over(upload));
  EXPECT_EQ(upload.body, "3 294");
}

TEST_F(SiteClientTest, AStreamMayBeDestroyedInItsOwnCallbacks) {
  TestSite site(1, serve);
  up(site);
  Recorder& self = start("download");
  self.on_head = [&self] { self.stream.reset(); };
  ASSERT_TRUE(run_until([&] { return self.stream == nullptr; }));
  Recorder& next = start("next");
  ASSERT_TRUE(run_until_over(next));
  EXPECT_EQ(next.body, "next");
  EXPECT_TRUE(run_until([&] { return site.ring().pending() == 0; }));
}

// What an opener may not answer: each closes the channel and reports the site.
TEST_F(SiteClientTest, RefusesSitesWhoseAnswersAreImpossible) {
  struct Lie {
    const char* name;
    ipc::FileReply reply;
    int fds;
    const char* file;  // what the descriptor is
    size_t bytes;      // payload sent
  };
  using ipc::FileType;
  const Lie lies[] = {
      {"unknown id", {99, ENOENT, FileType::kNone, 0, 0, 0, 0}, 0, "", 0},
      {"descriptor missing", {1, 0, FileType::kRegular, 1, 0, 0, 0}, 0, "", 0},
      {"descriptor too many", {1, ENOENT, FileType::kNone, 0, 0, 0, 0}, 1, "/", 0},
      {"two descriptors", {1, 0, FileType::kRegular, 1, 0, 0, 0}, 2, "/proc/self/exe", 0},
      {"no file", {1, 0, FileType::kRegular, 0, 0, 0, 0}, 0, "", 0},
      {"payload size", {1, 0, FileType::kNone, 0, 0, 0, 10}, 0, "", 5},
      {"payload size near 2^32", {1, 0, FileType::kNone, 0, 0, 0, 0xffffffff}, 0, "", 5},
      {"type", {1, 0, static_cast<FileType>(9), 0, 0, 0, 0}, 0, "", 0},
      {"error", {1, -5, FileType::kNone, 0, 0, 0, 0}, 0, "", 0},
      {"parent is a file", {1, ENOENT, FileType::kNone, 1, 1, 0, 0}, 1, "/proc/self/exe", 0},
      {"directory is a file", {1, 0, FileType::kDirectory, 1, 0, 0, 0}, 1, "/proc/self/exe", 0},
  };
  uint32_t epoch = 0;
  for (const Lie& lie : lies) {
    TestSite site(0, serve);
    up(site, ++epoch);
    refused_.clear();
    FileTicket ticket =
        client_->open_file(7, "/x", ipc::SymlinkRule::kOwned, 0, [](FileResult&&) {});
    loop_->run_once(0ms);
    sys::Fd file(::open(lie.file, O_RDONLY));
    std::vector<sys::FdRef> fds(static_cast<size_t>(lie.fds), file.ref());
    std::string payload(lie.bytes, 'x');
    (void)sys::send_message(site.channel(),
                            {reinterpret_cast<const char*>(&lie.reply), sizeof lie.reply}, payload,
                            fds);
    ASSERT_TRUE(run_until([&] { return !refused_.empty(); }, 2s)) << lie.name;
    ticket.cancel();
  }
}

TEST_F(SiteClientTest, TakesNoDescriptorThatCouldBlockOrIsNoFile) {
  TestSite site(0, serve);
  up(site);
  for (const char* path :
       {"/dev/null", "/", "/proc/self/mem", "/proc/self/smaps", "/sys/kernel/notes"}) {
    int error = -1;
    FileTicket ticket = client_->open_file(7, "/x", ipc::SymlinkRule::kOwned, 0,
                                           [&](FileResult&& r) { error = r.error; });
    char buffer[64];
    size_t size = 0;
    std::vector<sys::Fd> none;
    ASSERT_EQ(sys::receive_message(site.channel(), buffer, &size, &none),
              sys::ReceiveResult::kMessage);
    ipc::FileReply reply{};
    std::memcpy(&reply.id, buffer, 4);
    reply.type = ipc::FileType::kRegular;
    reply.has_fd = 1;
    sys::Fd file(::open(path, O_RDONLY));
    sys::FdRef fd = file;
    (void)sys::send_message(site.channel(), {reinterpret_cast<const char*>(&reply), sizeof reply},
                            {}, {&fd, 1});
    ASSERT_TRUE(run_until([&] { return error >= 0; }));
    EXPECT_EQ(error, EACCES) << path;
  }
}

}  // namespace
}  // namespace bulkhead::front
