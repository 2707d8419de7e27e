// Sites as `bulkhead exec` needs them: woken for a command, and given its session.
//
// Runs in: master.
#include <unistd.h>

#include "master/sites.h"

namespace bulkhead::master {

std::optional<uid_t> Sites::user_of(uint32_t id) const {
  const auto at = sites_.find(id);
  if (at == sites_.end()) return {};
  return at->second.spec.identity ? at->second.spec.identity->uid : ::geteuid();
}

Sites::CommandState Sites::ready_for_command(uint32_t id) {
  Site* site = find(id);
  if (site == nullptr || !site->spec.has_pool || stopping_) return CommandState::kGone;
  if (site->current == nullptr) {
    if (w_.loop.now() < site->retry_at || !start(*site)) return CommandState::kFailed;
  }
  return site->current->ready() ? CommandState::kReady : CommandState::kStarting;
}

Result<Sites::CommandUser> Sites::begin_command(uint32_t id, sys::FdRef session) {
  Site* site = find(id);
  if (site == nullptr || site->current == nullptr) return fail("the site is gone");
  const sys::FdRef fds[] = {session};
  if (!site->current->send(ipc::Op::kExec, {}, fds)) return fail("the site's pool is gone");
  CommandUser user{site->spec.name, ::geteuid(), ::getegid()};
  if (site->spec.identity) {
    user.uid = site->spec.identity->uid;
    user.gid = site->spec.identity->gid;
  }
  return user;
}

}  // namespace bulkhead::master
