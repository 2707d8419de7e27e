// How long a process computes before another that waits for the processor gets its turn.
//
// Runs in: front, workers.  Input: none.
#pragma once

#include <chrono>

#include "base/error.h"

namespace bulkhead::sys {

// Whether what the caller starts (fork, thread) gets the same, or the machine's usual length again.
enum class Heirs : uint8_t { kSame, kUsual };
// Asks for turns of this length (100 us to 100 ms; the kernel's usual one is 1 to 3 ms).  Who asks
// for short turns gets no more of the processor, but gets it sooner when it wakes.  No privilege is
// needed.  Kernels before 6.12 accept and ignore it.
// kUsual also resets a raised priority (nice below 0) in children: it is then kSame.
// Errors: as sched_setattr(2).
// Ref: sched(7), sched_setattr(2); custom slice: Linux 6.12, kernel/sched/syscalls.c.
Status set_turn_length(std::chrono::microseconds length, Heirs heirs);

// Of who answers requests: between one request's work and the 4 ms of a clock tick, for which a
// neighbour that just computes would otherwise keep the processor.
constexpr std::chrono::microseconds kAnsweringTurn{100};

}  // namespace bulkhead::sys
