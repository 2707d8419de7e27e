// See turn_length.h.
#include "sys/turn_length.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace bulkhead::sys {
namespace {

// Of linux/sched/types.h, which cannot be included beside the C library's sched.h.
struct Attributes {
  uint32_t size = sizeof(Attributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
  uint32_t util_min = 0, util_max = 0;
};
static_assert(sizeof(Attributes) == 56);  // SCHED_ATTR_SIZE_VER1

constexpr uint64_t kResetOnFork = 1;  // SCHED_FLAG_RESET_ON_FORK
constexpr uint32_t kNormal = 0, kBatch = 3;

}  // namespace

Status set_turn_length(std::chrono::microseconds length, Heirs heirs) {
  Attributes now;
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) < 0) {
    return fail_errno("sched_getattr() failed");
  }
  // Somebody decided otherwise (real time, idle): that stays.
  if (now.policy != kNormal && now.policy != kBatch) return {};
  Attributes wanted;
  wanted.policy = now.policy;
  wanted.nice = now.nice;
  wanted.flags = heirs == Heirs::kUsual && now.nice >= 0 ? kResetOnFork : now.flags & kResetOnFork;
  wanted.runtime_ns = static_cast<uint64_t>(std::chrono::nanoseconds(length).count());
  if (::syscall(SYS_sched_setattr, 0, &wanted, 0) < 0) {
    return fail_errno("sched_setattr() failed");
  }
  return {};
}

}  // namespace bulkhead::sys
