#include "ipc/permit.h"

#include <algorithm>

#include "base/check.h"

namespace bulkhead::ipc {
namespace {

constexpr RoleSet kMaster = set_of(Role::kMaster), kFront = set_of(Role::kFront),
                  kZygote = set_of(Role::kZygote), kPool = set_of(Role::kPool),
                  kOpener = set_of(Role::kOpener);
constexpr RoleSet kAnyChild = kFront | kZygote | kPool | kOpener;
constexpr PhaseSet kStarting = set_of(Phase::kStarting), kServing = set_of(Phase::kServing),
                   kStopping = set_of(Phase::kStopping);
constexpr PhaseSet kAnyPhase = kStarting | kServing | kStopping;
constexpr PhaseSet kUp = kServing | kStopping;

constexpr uint32_t kLogLine = 1 + 4096;         // level and text
constexpr uint32_t kSiteUpFdsMax = 1 + 3 * 20;  // bell, and three per loop
constexpr uint32_t kForkFdsMin = 3, kForkFdsMax = 5 + 3 * 19;

// clang-format off
constexpr Rule kRules[] = {
    // operation and name                    who may say it    while it is           bytes min, max            fds  per second
    {Op::kReady, "ready",                    kAnyChild,        kAnyPhase,           0, 0,                     0, 0,   1},
    {Op::kWakeSite, "wake-site",             kFront,           kUp,                  4, 4,                     0, 0,   20000},
    {Op::kConfigured, "configured",          kFront,           kAnyPhase,            8, 8,                     0, 0,   50},
    {Op::kDrained, "drained",                kFront,           kUp,                  8, 8,                     0, 0,   50},
    {Op::kSiteRefused, "site-refused",       kFront,           kUp,                  4, 4,                     0, 0,   200},
    {Op::kWantMetrics, "want-metrics",       kFront,           kUp,                  0, 0,                     0, 0,   10},
    {Op::kForked, "forked",                  kZygote,          kUp, sizeof(ForkedBody), sizeof(ForkedBody),    1, 1,   20000},
    {Op::kForkFailed, "fork-failed",         kZygote,          kUp,                  8, 8,                     0, 0,   20000},
    {Op::kLog, "log",                        kPool,            kAnyPhase,            1, kLogLine,              0, 0,   20000},
    {Op::kIdle, "idle",                      kPool | kOpener,  kUp,                  0, 0,                     0, 0,   4},
    {Op::kPoolFailed, "pool-failed",         kPool | kOpener,  kAnyPhase,            0, 4096,                  0, 0,   1},
    // downwards: master is trusted, sizes are still exact
    {Op::kSnapshot, "snapshot",              kMaster,          kAnyPhase, sizeof(SnapshotBody), sizeof(SnapshotBody),       1, 1,       0},
    {Op::kListeners, "listeners",            kMaster,          kAnyPhase, sizeof(DescriptorsBody), sizeof(DescriptorsBody), 0, kMaxFds, 0},
    {Op::kPoolListeners, "pool-listeners",   kMaster,          kAnyPhase, sizeof(DescriptorsBody), sizeof(DescriptorsBody), 0, kMaxFds, 0},
    {Op::kLogFiles, "log-files",             kMaster,          kAnyPhase, sizeof(DescriptorsBody), sizeof(DescriptorsBody), 0, kMaxFds, 0},
    {Op::kActivate, "activate",              kMaster,          kAnyPhase,            8, 8,                     0, 0,   0},
    {Op::kSiteUp, "site-up",                 kMaster,          kAnyPhase, sizeof(SiteUpBody), sizeof(SiteUpBody),           1, kSiteUpFdsMax, 0},
    {Op::kSiteDown, "site-down",             kMaster,          kAnyPhase, sizeof(SiteDownBody), sizeof(SiteDownBody),       0, 0,       0},
    {Op::kQuit, "quit",                      kMaster,          kAnyPhase,            0, 0,                     0, 0,   0},
    {Op::kCounters, "counters",              kMaster,          kAnyPhase,            4, 4,                     1, 1,   0},
    {Op::kMetrics, "metrics",                kMaster,          kAnyPhase,            0, 0,                     0, 1,   0},
    {Op::kFork, "fork",                      kMaster,          kAnyPhase, sizeof(ForkBody), sizeof(ForkBody),  kForkFdsMin, kForkFdsMax, 0},
    {Op::kStop, "stop",                      kMaster,          kAnyPhase,            1, 1,                     0, 0,   0},
    {Op::kReopen, "reopen",                  kMaster,          kAnyPhase,            0, 0,                     1, 1,   0},
    {Op::kResize, "resize",                  kMaster,          kAnyPhase,            0, 0,                     1, 1,   0},
    {Op::kExec, "exec",                      kMaster,          kAnyPhase,            0, 0,                     1, 1,   0},
};
// clang-format on

}  // namespace

std::span<const Rule> rules() { return kRules; }

const Rule* find_rule(uint16_t op) {
  const Rule* rule = std::find_if(std::begin(kRules), std::end(kRules),
                                  [&](const Rule& r) { return static_cast<uint16_t>(r.op) == op; });
  return rule == std::end(kRules) ? nullptr : rule;
}

std::string_view describe(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllowed:
      return "allowed";
    case Verdict::kUnknown:
      return "unknown operation";
    case Verdict::kRole:
      return "not this sender's to ask";
    case Verdict::kPhase:
      return "not allowed in this phase";
    case Verdict::kSize:
      return "wrong size";
    case Verdict::kFds:
      return "wrong number of descriptors";
    case Verdict::kRate:
      return "too often";
  }
  return "?";
}

Verdict Permit::check(const Header& header, size_t payload_bytes, size_t fds,
                      std::chrono::steady_clock::time_point now) {
  static_assert(std::size(kRules) <= kRulesMax);
  const Rule* rule = find_rule(header.op);
  if (rule == nullptr) return Verdict::kUnknown;
  if ((rule->who & set_of(sender_)) == 0) return Verdict::kRole;
  if ((rule->when & set_of(phase_)) == 0) return Verdict::kPhase;
  if (header.size != payload_bytes || payload_bytes < rule->bytes_min ||
      payload_bytes > rule->bytes_max) {
    return Verdict::kSize;
  }
  if (header.fds != fds || fds < rule->fds_min || fds > rule->fds_max) return Verdict::kFds;
  if (rule->per_second != 0) {
    Bucket& bucket = buckets_[rule - kRules];
    if (now - bucket.second >= std::chrono::seconds(1)) bucket = {now, 0};
    if (++bucket.count > rule->per_second) return Verdict::kRate;
  }
  return Verdict::kAllowed;
}

}  // namespace bulkhead::ipc
