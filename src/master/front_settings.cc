#include "master/front_settings.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::master {
namespace {

constexpr const char* kFrontUser = "bulkhead";

constexpr uid_t kSpareUidFirst = 60999, kSpareUidLast = 60600;  // one without an account

// By name and by number only: looking ten thousand users up would take its time.
bool runs_a_pool(const std::string& user, uid_t uid, const config::Snapshot& snapshot) {
  std::string number = std::to_string(uid);
  return std::any_of(snapshot.sites.begin(), snapshot.sites.end(), [&](const config::Site& site) {
    return site.has_pool && (site.user == user || site.user == number);
  });
}

// Front has no rights of its own: a system user nobody else is, else whom nginx would run as. Never
// somebody a pool runs as: such a site could kill front, and with it every other site's requests.
Result<sys::Identity> front_identity(const config::Model& model, const config::Snapshot& snapshot) {
  std::vector<std::pair<std::string, std::string>> names = {{kFrontUser, ""}};
  if (model.user_is_set) names.emplace_back(model.user, model.group);
  names.emplace_back("nobody", "");
  if (!model.user_is_set) names.emplace_back(model.user, model.group);
  for (const auto& [user, group] : names) {
    auto uid = sys::find_uid(user);
    if (!uid || runs_a_pool(user, *uid, snapshot)) continue;
    return sys::find_identity(user, group);
  }
  for (uid_t uid = kSpareUidFirst; uid >= kSpareUidLast; --uid) {
    sys::Identity spare;
    spare.name = std::to_string(uid);
    if (sys::user_name(uid) != spare.name || runs_a_pool(spare.name, uid, snapshot)) continue;
    spare.uid = spare.gid = uid;
    return spare;
  }
  return fail("every user that front could run as also runs a pool");
}

}  // namespace

bool same_process(const FrontSettings& a, const FrontSettings& b) {
  auto ids = [](const FrontSettings& s) {
    return s.identity ? std::make_pair(s.identity->uid, s.identity->gid)
                      : std::make_pair(uid_t{0}, gid_t{0});
  };
  return ids(a) == ids(b) && a.loops == b.loops && a.core_bytes == b.core_bytes &&
         a.nofile == b.nofile && a.priority == b.priority;
}

Result<FrontSettings> front_settings(const config::Model& model, const config::Snapshot& snapshot,
                                     const FrontSettings* running) {
  FrontSettings out;
  out.loops = snapshot.loops;
  out.core_bytes = model.worker_rlimit_core.value_or(0);
  out.nofile = model.worker_rlimit_nofile;
  out.priority = model.worker_priority;
  if (model.user_is_set) {
    out.user = model.user;
    out.group = model.group;
  }
  if (!sys::is_root()) return out;
  bool keep = running != nullptr && running->identity && running->user == out.user &&
              running->group == out.group &&
              !runs_a_pool(running->identity->name, running->identity->uid, snapshot);
  if (keep) {
    out.identity = running->identity;
  } else {
    out.identity = TRY(front_identity(model, snapshot));
  }
  return out;
}

}  // namespace bulkhead::master
