// Both sides of every limit of the table.
#include "ipc/permit.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace bulkhead::ipc {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Role kRoles[] = {Role::kMaster, Role::kFront, Role::kZygote, Role::kPool, Role::kOpener};
constexpr Phase kPhases[] = {Phase::kStarting, Phase::kServing, Phase::kStopping};

Header header(const Rule& rule, uint32_t size, uint32_t fds) {
  return {static_cast<uint16_t>(rule.op), static_cast<uint16_t>(fds), size};
}
Role allowed_role(const Rule& rule) {
  for (Role role : kRoles) {
    if ((rule.who & set_of(role)) != 0) return role;
  }
  return Role::kMaster;
}
Phase allowed_phase(const Rule& rule) {
  for (Phase phase : kPhases) {
    if ((rule.when & set_of(phase)) != 0) return phase;
  }
  return Phase::kStarting;
}
Permit fitting(const Rule& rule) { return Permit(allowed_role(rule), allowed_phase(rule)); }

TEST(Permit, HasOneRowForEachOperation) {
  std::set<uint16_t> seen;
  for (const Rule& rule : rules()) {
    EXPECT_TRUE(seen.insert(static_cast<uint16_t>(rule.op)).second) << rule.name;
    EXPECT_EQ(find_rule(static_cast<uint16_t>(rule.op)), &rule);
    EXPECT_LE(rule.bytes_max, kMaxPayload) << rule.name;
    EXPECT_LE(rule.fds_max, kMaxFds) << rule.name;
  }
}

TEST(Permit, LimitsTheRateOfEveryMessageUpwards) {
  for (const Rule& rule : rules()) {
    bool upwards = (rule.who & ~set_of(Role::kMaster)) != 0;
    EXPECT_EQ(rule.per_second != 0, upwards) << rule.name;
  }
}

TEST(Permit, TakesTheSmallestAndTheLargestPayloadAndNoByteMore) {
  for (const Rule& rule : rules()) {
    Clock::time_point now = Clock::now();
    auto judge = [&](uint32_t bytes) {
      Permit permit = fitting(rule);
      return permit.check(header(rule, bytes, rule.fds_min), bytes, rule.fds_min, now);
    };
    EXPECT_EQ(judge(rule.bytes_min), Verdict::kAllowed) << rule.name;
    EXPECT_EQ(judge(rule.bytes_max), Verdict::kAllowed) << rule.name;
    EXPECT_EQ(judge(rule.bytes_max + 1), Verdict::kSize) << rule.name;
    if (rule.bytes_min > 0) {
      EXPECT_EQ(judge(rule.bytes_min - 1), Verdict::kSize) << rule.name;
    }
  }
}

TEST(Permit, RefusesAHeaderThatLiesAboutItsPayload) {
  const Rule& rule = *find_rule(static_cast<uint16_t>(Op::kWakeSite));
  Permit permit(Role::kFront, Phase::kServing);
  EXPECT_EQ(permit.check(header(rule, 4, 0), 5, 0, Clock::now()), Verdict::kSize);
  EXPECT_EQ(permit.check(header(rule, 5, 0), 4, 0, Clock::now()), Verdict::kSize);
}

TEST(Permit, CountsDescriptors) {
  for (const Rule& rule : rules()) {
    Clock::time_point now = Clock::now();
    auto judge = [&](uint32_t said, uint32_t came) {
      Permit permit = fitting(rule);
      return permit.check(header(rule, rule.bytes_min, said), rule.bytes_min, came, now);
    };
    EXPECT_EQ(judge(rule.fds_max, rule.fds_max), Verdict::kAllowed) << rule.name;
    EXPECT_EQ(judge(rule.fds_max + 1, rule.fds_max + 1), Verdict::kFds) << rule.name;
    EXPECT_EQ(judge(rule.fds_max, rule.fds_max + 1), Verdict::kFds) << rule.name;
    if (rule.fds_min > 0) {
      EXPECT_EQ(judge(rule.fds_min - 1, rule.fds_min - 1), Verdict::kFds) << rule.name;
    }
  }
}

TEST(Permit, RefusesEveryOtherRoleAndPhase) {
  for (const Rule& rule : rules()) {
    for (Role role : kRoles) {
      for (Phase phase : kPhases) {
        Permit permit(role, phase);
        Verdict verdict = permit.check(header(rule, rule.bytes_min, rule.fds_min), rule.bytes_min,
                                       rule.fds_min, Clock::now());
        if ((rule.who & set_of(role)) == 0) {
          EXPECT_EQ(verdict, Verdict::kRole) << rule.name;
        } else if ((rule.when & set_of(phase)) == 0) {
          EXPECT_EQ(verdict, Verdict::kPhase) << rule.name;
        } else {
          EXPECT_EQ(verdict, Verdict::kAllowed) << rule.name;
        }
      }
    }
  }
}

TEST(Permit, CountsPerSecondAndStartsAnewInTheNext) {
  for (const Rule& rule : rules()) {
    if (rule.per_second == 0) continue;
    Permit permit = fitting(rule);
    Clock::time_point now = Clock::now();
    Header h = header(rule, rule.bytes_min, rule.fds_min);
    for (uint32_t i = 0; i < rule.per_second; ++i) {
      ASSERT_EQ(permit.check(h, rule.bytes_min, rule.fds_min, now), Verdict::kAllowed);
    }
    EXPECT_EQ(permit.check(h, rule.bytes_min, rule.fds_min, now), Verdict::kRate) << rule.name;
    now += std::chrono::seconds(1);
    EXPECT_EQ(permit.check(h, rule.bytes_min, rule.fds_min, now), Verdict::kAllowed) << rule.name;
  }
}

TEST(Permit, RefusesASiteThatAsksForAnythingOfFrontOrZygote) {
  Permit permit(Role::kPool, Phase::kServing);
  for (Op op : {Op::kWakeSite, Op::kConfigured, Op::kForked, Op::kSiteRefused, Op::kSnapshot}) {
    const Rule& rule = *find_rule(static_cast<uint16_t>(op));
    EXPECT_EQ(permit.check(header(rule, rule.bytes_min, rule.fds_min), rule.bytes_min, rule.fds_min,
                           Clock::now()),
              Verdict::kRole);
  }
}

// Random headers never pass unless a row of the table allows exactly them.
TEST(Permit, AgreesWithTheTableForRandomHeaders) {
  std::mt19937 random(20261123);
  for (int i = 0; i < 200'000; ++i) {
    Role role = kRoles[random() % std::size(kRoles)];
    Phase phase = kPhases[random() % std::size(kPhases)];
    Permit permit(role, phase);
    Header h{static_cast<uint16_t>(random() % 160), static_cast<uint16_t>(random() % 70),
             static_cast<uint32_t>(random() % 5000)};
    size_t bytes = random() % 4 == 0 ? random() % 5000 : h.size;
    size_t fds = random() % 4 == 0 ? random() % 70 : h.fds;
    bool allowed = permit.check(h, bytes, fds, Clock::now()) == Verdict::kAllowed;
    const Rule* rule = find_rule(h.op);
    bool by_table = rule != nullptr && (rule->who & set_of(role)) != 0 &&
                    (rule->when & set_of(phase)) != 0 && h.size == bytes && h.fds == fds &&
                    bytes >= rule->bytes_min && bytes <= rule->bytes_max && fds >= rule->fds_min &&
                    fds <= rule->fds_max;
    ASSERT_EQ(allowed, by_table);
  }
}

}  // namespace
}  // namespace bulkhead::ipc
