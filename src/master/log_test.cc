#include "master/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include "master/children.h"

namespace bulkhead::master {
namespace {

constexpr Moment kWhen{1795436782, 34};  // 2026-11-23 12:26:22 UTC

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(LogTest, WritesNginxLines) {
  EXPECT_EQ(nginx_line(LogLevel::kNotice, "start worker processes", 27232, kWhen),
            "2026/11/23 12:26:22 [notice] 27232#27232: start worker processes\n");
  EXPECT_EQ(level_name(LogLevel::kEmerg), "emerg");
  EXPECT_EQ(level_name(LogLevel::kDebug), "debug");
}

TEST_F(LogTest, WritesPhpFpmLines) {
  FpmFormat format;
  EXPECT_EQ(
      fpm_lines(FpmLevel::kNotice, "ready to handle connections", format, kWhen),
      std::vector<std::string>{"[23-Nov-2026 12:26:22] NOTICE: ready to handle connections\n"});
  format.debug = true;
  format.pid = 7;
  EXPECT_EQ(fpm_lines(FpmLevel::kDebug, "x", format, kWhen)[0],
            "[23-Nov-2026 12:26:22.000034] DEBUG: pid 7, bulkhead_master(), line 1: x\n");
  format.stamped = false;
  format.debug = false;
  EXPECT_EQ(fpm_lines(FpmLevel::kError, "x", format, kWhen)[0], "ERROR: x\n");
}

TEST_F(LogTest, SplitsWorkersOutputAtTheLimit) {
  FpmFormat format;
  format.limit = 128;
  std::string body(300, 'a');
  std::string prefix = "[23-Nov-2026 12:26:22] WARNING: [pool www] child 9 said into stderr: \"";
  auto lines = fpm_lines(FpmLevel::kWarning,
                         "[pool www] child 9 said into stderr: \"" + body + "\"", format, kWhen);
  std::string joined;
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 128u);
    ASSERT_TRUE(line.starts_with(prefix));
    ASSERT_TRUE(line.ends_with("\"\n"));
    joined += line.substr(prefix.size(), line.size() - prefix.size() - 2);
  }
  EXPECT_EQ(joined, body);
}

TEST_F(LogTest, FitsExactlyAtTheLimitAndNotOneByteMore) {
  FpmFormat format;
  format.limit = 64;
  std::string prefix = "[23-Nov-2026 12:26:22] NOTICE: ";
  std::string fits(64 - prefix.size() - 1, 'x');
  EXPECT_EQ(fpm_lines(FpmLevel::kNotice, fits, format, kWhen)[0], prefix + fits + "\n");
  auto cut = fpm_lines(FpmLevel::kNotice, fits + "y", format, kWhen);
  ASSERT_EQ(cut.size(), 1u);
  EXPECT_EQ(cut[0].size(), 64u);
  EXPECT_TRUE(cut[0].ends_with("...\n"));
}

TEST_F(LogTest, LetsNoSiteForgeALine) {
  EXPECT_EQ(clean("a\n[23-Nov-2026 00:00:00] ALERT: b\x1b[2J"),
            "a\\x0A[23-Nov-2026 00:00:00] ALERT: b\\x1B[2J");
  EXPECT_EQ(clean("\tkept, und \xc3\xbc too"), "\tkept, und \xc3\xbc too");
}

TEST(Backoff, ComesBackAtOnceAsOftenAsItIsTold) {
  Backoff backoff(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backoff.ended(Millis(10)), Millis(0));
  EXPECT_EQ(backoff.ended(Millis(10)), Backoff::kFirst);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backoff.ended(Backoff::kHealthy), Millis(0));
}

TEST(Backoff, ComesBackAtOnceThenEverSlower) {
  Backoff backoff;
  EXPECT_EQ(backoff.ended(Millis(10)), Millis(0));
  EXPECT_EQ(backoff.ended(Millis(10)), Millis(100));
  EXPECT_EQ(backoff.ended(Millis(10)), Millis(200));
  for (int i = 0; i < 20; ++i) (void)backoff.ended(Millis(10));
  EXPECT_EQ(backoff.ended(Millis(10)), Backoff::kLongest);
  EXPECT_EQ(backoff.ended(Backoff::kHealthy), Millis(0));
}

TEST(Describe, SaysHowAProcessEnded) {
  EXPECT_EQ(describe({sys::Ended::How::kExited, 3, false}, true), "exited with code 3");
  EXPECT_EQ(describe({sys::Ended::How::kSignalled, 9, false}, true),
            "exited on signal 9 (SIGKILL)");
  EXPECT_EQ(describe({sys::Ended::How::kSignalled, 11, true}, false),
            "exited on signal 11 (core dumped)");
}

}  // namespace
}  // namespace bulkhead::master
