// limit.* and mail.* directives: both sides of every bound, every form.
#include "config/pool_limits.h"

#include <gtest/gtest.h>

#include "config/pool_config.h"
#include "config/pool_mail.h"

namespace bulkhead::config {
namespace {

TEST(ParseSize, KnowsItsUnits) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("7"), 7u);
  EXPECT_EQ(parse_size("2k"), 2048u);
  EXPECT_EQ(parse_size("3M"), 3u << 20);
  EXPECT_EQ(parse_size("1g"), 1u << 30);
  EXPECT_EQ(parse_size("1T"), uint64_t{1} << 40);
  EXPECT_EQ(parse_size("4194304T"), uint64_t{1} << 62);
}

TEST(ParseSize, RefusesAllElse) {
  for (const char* text :
       {"", "M", "-1", "1.5G", "5 M", "5MB", "0x10", "4194305T", "99999999999999999999999"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

struct Case {
  const char *name, *good, *bad;
};
class LimitFault : public testing::TestWithParam<Case> {};

TEST_P(LimitFault, TakesTheOneAndRefusesTheOther) {
  const Case& c = GetParam();
  EXPECT_FALSE(limit_fault(c.name, c.good)) << *limit_fault(c.name, c.good);
  EXPECT_TRUE(limit_fault(c.name, c.bad));
}
INSTANTIATE_TEST_SUITE_P(
    All, LimitFault,
    testing::Values(Case{"limit.memory", "16M", "15M"}, Case{"limit.memory", "16777216", "lots"},
                    Case{"limit.cpu", "1%", "0%"}, Case{"limit.cpu", "409600%", "409601%"},
                    Case{"limit.cpu", "150%", "150"}, Case{"limit.tasks", "8", "7"},
                    Case{"limit.tasks", "4000000", "4000001"}, Case{"limit.io", "64k", "63k"},
                    Case{"limit.io", "20M 500", "20M 0"}, Case{"limit.io", "20M  1", "20M 1 2"},
                    Case{"limit.io", "20M ", " 20M"}, Case{"limit.disk", "1M", "1023k"},
                    Case{"limit.connections", "1", "0"}, Case{"limit.queue", "1000000", "1000001"},
                    Case{"limit.buffer", "64k", "1"}, Case{"limit.buffer", "1G", ""}));

TEST(PoolLimits, OfAPoolThatSaysNothing) {
  PoolConfig pool;
  pool.max_children = 10;
  PoolLimits expected;
  expected.tasks = kTasksDefault;
  EXPECT_EQ(read_limits(pool), expected);
  pool.max_children = 1000;
  EXPECT_EQ(read_limits(pool).tasks, 4000u);
}

TEST(PoolLimits, AreReadFromTheDirectives) {
  PoolConfig pool;
  pool.limit_memory = "512M";
  pool.limit_cpu = "150%";
  pool.limit_tasks = "200";
  pool.limit_io = "20M 500";
  pool.limit_disk = "2G";
  pool.limit_connections = "9";
  pool.limit_queue = "8";
  pool.limit_buffer = "7M";
  const PoolLimits limits = read_limits(pool);
  EXPECT_EQ(limits.memory_bytes, uint64_t{512} << 20);
  EXPECT_EQ(limits.cpu_percent, 150u);
  EXPECT_EQ(limits.tasks, 200u);
  EXPECT_EQ(limits.io_bytes_per_second, uint64_t{20} << 20);
  EXPECT_EQ(limits.io_per_second, 500u);
  EXPECT_EQ(limits.disk_bytes, uint64_t{2} << 30);
  EXPECT_EQ(limits.connections, 9u);
  EXPECT_EQ(limits.queue, 8u);
  EXPECT_EQ(limits.buffer_bytes, uint64_t{7} << 20);
}

TEST(MailRelay, IsAHostAndAPort) {
  EXPECT_EQ(parse_relay("localhost")->port, 25);
  EXPECT_EQ(parse_relay("mx.example.org:587")->port, 587);
  EXPECT_EQ(parse_relay("[2001:db8::1]:26")->host, "2001:db8::1");
  EXPECT_EQ(parse_relay("[::1]")->port, 25);
}

TEST(MailRelay, IsNothingThatAShellCouldMistake) {
  for (const char* text : {"", ":25", "a:", "a:0", "a:65536", "a b", "a;b:25", "$(x)", "-x:25",
                           "[::1", "[::1]25", "[a]:25", "::1", "a\n"}) {
    EXPECT_FALSE(parse_relay(text)) << text;
    EXPECT_TRUE(mail_fault("mail.relay", text)) << text;
  }
}

TEST(MailFrom, IsAPlainAddress) {
  EXPECT_FALSE(mail_fault("mail.from", "site1+x@example.org"));
  for (const char* text :
       {"", "a", "@b", "a@", "a@.b", "-f@b", "a b@c", "a@b\r\nBcc: x", "a'@b", "a@b@c"}) {
    EXPECT_TRUE(mail_fault("mail.from", text)) << text;
  }
}

TEST(SendmailPath, QuotesWhatItIsGiven) {
  PoolConfig pool;
  pool.name = "it's";
  pool.mail_relay = "[::1]:25";
  pool.mail_from = "a@b";
  pool.mail_site_header = true;
  EXPECT_EQ(sendmail_path(sendmail_options(pool), "/usr/lib/x/bulkhead-sendmail"),
            "'/usr/lib/x/bulkhead-sendmail' -t -i --no-tempfail '--relay=[::1]:25' '--from=a@b' "
            "'--site=it'\\''s'");
  EXPECT_EQ(sendmail_path({}, "/s"), "'/s' -t -i --no-tempfail");
  EXPECT_TRUE(sendmail_options(PoolConfig()).empty());
}

}  // namespace
}  // namespace bulkhead::config
