#include "front/logs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace bulkhead::front {
namespace {

using config::LogLevel;

class LogBookTest : public testing::Test {
 protected:
  LogBookTest() : loop_(std::move(*loop::EventLoop::create())), files_{{"/a"}, {"/b"}} {
    book_ = std::make_unique<LogBook>(*loop_, files_);
    open();
  }
  void open() {
    auto set = std::make_shared<LogSet>();
    for (int& fd : fds_) {
      fd = ::memfd_create("log", MFD_CLOEXEC);
      set->files.emplace_back(::dup(fd));
    }
    book_->set_files(set);
  }
  static std::string text(int fd) {
    std::string out(1 << 16, '\0');
    ssize_t n = ::pread(fd, out.data(), out.size(), 0);
    out.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return out;
  }
  std::unique_ptr<loop::EventLoop> loop_;
  std::vector<config::LogFile> files_;
  std::unique_ptr<LogBook> book_;
  int fds_[2] = {-1, -1};
};

TEST_F(LogBookTest, WritesToEveryLogThatTakesTheLevel) {
  config::List<config::ErrorLog> targets{{0, LogLevel::kError}, {1, LogLevel::kInfo}};
  EXPECT_TRUE(LogBook::wants(targets, LogLevel::kInfo));
  EXPECT_FALSE(LogBook::wants(targets, LogLevel::kDebug));
  book_->error(targets, LogLevel::kError, "bad\n");
  book_->error(targets, LogLevel::kInfo, "fyi\n");
  EXPECT_EQ("bad\n", text(fds_[0]));
  EXPECT_EQ("bad\nfyi\n", text(fds_[1]));
}

TEST_F(LogBookTest, KeepsLinesUntilTheBufferIsFullOrTimeHasPassed) {
  config::AccessLog log;
  log.file = 0;
  log.buffer_bytes = 10;
  log.flush = loop::Millis(1);
  book_->access(log, "12345\n");
  EXPECT_EQ("", text(fds_[0]));
  book_->access(log, "67890\n");
  EXPECT_EQ("12345\n", text(fds_[0]));
  auto until = loop::Clock::now() + std::chrono::seconds(2);
  while (text(fds_[0]).size() < 12 && loop::Clock::now() < until) loop_->run_once(loop::Millis(1));
  EXPECT_EQ("12345\n67890\n", text(fds_[0]));
  book_->access(log, "a line longer than the buffer\n");
  EXPECT_EQ("12345\n67890\na line longer than the buffer\n", text(fds_[0]));
}

TEST_F(LogBookTest, ReopeningWritesWhatWasKeptToTheOldFile) {
  config::AccessLog log;
  log.file = 1;
  log.buffer_bytes = 100;
  book_->access(log, "old\n");
  int before = fds_[1];
  open();
  book_->access(log, "new\n");
  book_->flush_all();
  EXPECT_EQ("old\n", text(before));
  EXPECT_EQ("new\n", text(fds_[1]));
}

TEST_F(LogBookTest, AFullDiskIsToldOnceAndDoesNotLastLonger) {
  std::vector<std::string> told;
  book_->on_loss = [&](std::string_view text) { told.emplace_back(text); };
  auto set = std::make_shared<LogSet>();
  set->files.emplace_back(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  set->files.emplace_back(::dup(fds_[1]));
  book_->set_files(set);
  config::AccessLog log;
  log.file = 0;
  log.buffer_bytes = 4;
  for (int i = 0; i < 3; ++i) book_->access(log, "line too long\n");
  ASSERT_EQ(1U, told.size());
  EXPECT_EQ("write() to \"/a\" failed (28: No space left on device)", told[0]);
  open();
  book_->access(log, "line too long\n");
  EXPECT_EQ("line too long\n", text(fds_[0]));
}

TEST_F(LogBookTest, FilesThatDoNotExistAreLeftOut) {
  config::List<config::ErrorLog> targets{{7, LogLevel::kError}};
  book_->error(targets, LogLevel::kError, "x\n");
  config::AccessLog log;
  log.file = config::kNone;
  book_->access(log, "x\n");
}

TEST(Syslog, ReadsItsOptions) {
  SyslogTarget t = parse_syslog_target(
      "syslog:server=unix:/dev/log,facility=mail,severity=warn,tag=web,nohostname");
  EXPECT_EQ(2, t.facility);
  EXPECT_EQ(4, t.severity);
  EXPECT_TRUE(t.has_severity);
  EXPECT_EQ("web", t.tag);
  EXPECT_TRUE(t.no_hostname);
  t = parse_syslog_target("syslog:server=10.0.0.1");
  EXPECT_EQ(23, t.facility);
  EXPECT_FALSE(t.has_severity);
}

TEST(Syslog, WritesTheFormOfRfc3164) {
  SyslogTarget t;
  t.tag = "nginx";
  std::string line = syslog_datagram(t, 6, 0, "host", "text\n");
  EXPECT_EQ(0u, line.find("<190>Jan  1 "));
  EXPECT_NE(std::string::npos, line.find(" host nginx: text"));
  EXPECT_NE('\n', line.back());
}

}  // namespace
}  // namespace bulkhead::front
