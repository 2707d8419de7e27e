// Whose turn it is while more processes want to run than there are processors.
//
// Runs in: front and fresh pools, while they start.  Input: constants.
#pragma once

namespace bulkhead::sys {

// Makes this process the leader of a session, which the kernel gives a share of the processor of
// its own where sites have no control groups (kernel.sched_autogroup_enabled), and weighs that
// share like `nice`; below 0 as root only.  What cannot be had is left.  Ref: sched(7),
// "autogroup".
void lead_session(int nice);

// Front works for all sites and hands each its own work; it must not wait for one's programs.
constexpr int kFrontNice = -10;

}  // namespace bulkhead::sys
