#include "http/date.h"

#include <gtest/gtest.h>

namespace bulkhead::http {
namespace {

constexpr int64_t kWhen = 1795435200;  // 2026-11-23 12:00:00 UTC, a Monday

TEST(Date, WritesEveryFormat) {
  EXPECT_EQ(http_date(kWhen), "Mon, 23 Nov 2026 12:00:00 GMT");
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(951782399), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(cookie_date(kWhen), "Mon, 23-Nov-26 12:00:00 GMT");
  EXPECT_EQ(cookie_date(2145916800), "Fri, 01-Jan-2038 00:00:00 GMT");
  EXPECT_EQ(log_time(kWhen, 0), "23/Nov/2026:12:00:00 +0000");
  EXPECT_EQ(log_time(kWhen, 19800), "23/Nov/2026:17:30:00 +0530");
  EXPECT_EQ(log_time(kWhen, -12600), "23/Nov/2026:08:30:00 -0330");
  EXPECT_EQ(iso8601_time(kWhen, 0), "2026-11-23T12:00:00+00:00");
  EXPECT_EQ(iso8601_time(kWhen, -12600), "2026-11-23T08:30:00-03:30");
  EXPECT_EQ(error_log_time(kWhen, 3600), "2026/11/23 13:00:00");
  EXPECT_EQ(fpm_log_time(kWhen, 0), "23-Nov-2026 12:00:00");
}

TEST(Date, ReadsTheThreeFormats) {
  EXPECT_EQ(parse_http_date("Mon, 23 Nov 2026 12:00:00 GMT"), kWhen);
  EXPECT_EQ(parse_http_date("Monday, 23-Nov-26 12:00:00 GMT"), kWhen);
  EXPECT_EQ(parse_http_date("Mon Nov 23 12:00:00 2026"), kWhen);
  EXPECT_EQ(parse_http_date("Mon Nov  2 12:00:00 2026"), kWhen - 21 * 86400);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT"), 1709164800);
}

TEST(Date, RefusesTheRest) {
  for (const char* bad :
       {"", ",", "x", "Mon, 23 Nov 2026", "Mon, 23 Foo 2026 12:00:00 GMT",
        "Mon, 30 Feb 2026 12:00:00 GMT", "Thu, 29 Feb 2023 00:00:00 GMT",
        "Mon, 23 Nov 2026 24:00:00 GMT", "Mon, 23 Nov 2026 12:60:00 GMT",
        "Mon, 23 Nov 2026 12:00:60 GMT", "Mon, 00 Nov 2026 12:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT", "Mon, 3 Nov 2026 12:00:00 GMT", "Mon, 23 Nov"}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
}

TEST(Date, RoundTripsEveryDayOfCenturies) {
  for (int64_t t = 0; t < int64_t{86400} * 366 * 400; t += 86400 * 7 + 3601) {
    EXPECT_EQ(unix_seconds(civil_time(t)), t);
    EXPECT_EQ(parse_http_date(http_date(t)), t);
  }
}

TEST(TimeCache, RefreshesWhenTheSecondChanges) {
  TimeCache cache;
  cache.update(kWhen);
  EXPECT_EQ(cache.http(), "Mon, 23 Nov 2026 12:00:00 GMT");
  cache.update(kWhen + 1);
  EXPECT_EQ(cache.http(), "Mon, 23 Nov 2026 12:00:01 GMT");
}

}  // namespace
}  // namespace bulkhead::http
