#include "master/plan.h"

#include <algorithm>
#include <set>

namespace bulkhead::master {
namespace {

// The parts a running pool never looks at, or can change while it runs, set aside.
config::PoolConfig without_numbers(config::PoolConfig pool) {
  const config::PoolConfig fresh;
  pool.max_children = fresh.max_children;
  pool.start_servers = fresh.start_servers;
  pool.min_spare_servers = fresh.min_spare_servers;
  pool.max_spare_servers = fresh.max_spare_servers;
  pool.max_spawn_rate = fresh.max_spawn_rate;
  pool.process_idle_timeout_s = fresh.process_idle_timeout_s;
  pool.limit_memory = pool.limit_cpu = pool.limit_tasks = pool.limit_io = pool.limit_disk = "";
  return pool;
}
// Sockets are master's and front's; where it was written matters only in messages.
config::PoolConfig without_socket(config::PoolConfig pool) {
  const config::PoolConfig fresh;
  pool.listen_backlog = fresh.listen_backlog;
  pool.listen_owner.clear();
  pool.listen_group.clear();
  pool.listen_mode.clear();
  pool.listen_acl_users.clear();
  pool.listen_acl_groups.clear();
  pool.listen_allowed_clients.clear();
  pool.limit_connections = pool.limit_queue = pool.limit_buffer = "";  // front's
  pool.given = 0;  // that a default was written out changes nothing
  pool.file.clear();
  pool.line = 0;
  return pool;
}

// What a site sees is fixed when its process starts.
bool sees_the_same(const PlannedSite& before, const PlannedSite& after) {
  if (before.policy == nullptr || after.policy == nullptr) return true;
  return sandbox::serialise(*before.policy) == sandbox::serialise(*after.policy);
}

SiteAction compare(const PlannedSite& before, const PlannedSite& after) {
  if (!sees_the_same(before, after)) return SiteAction::kReplace;
  if (before.pool == nullptr || after.pool == nullptr) {
    return before.pool == after.pool ? SiteAction::kKeep : SiteAction::kReplace;
  }
  switch (compare_pools(*before.pool, *after.pool)) {
    case PoolChange::kSame:
      return SiteAction::kKeep;
    case PoolChange::kNumbers:
      return SiteAction::kResize;
    case PoolChange::kDifferent:
      break;
  }
  return SiteAction::kReplace;
}

}  // namespace

uint32_t SiteIds::id_for(const config::Site& site) {
  std::string key =
      (site.has_pool ? "pool " + site.name : std::string(site.connects ? "sockets" : "files")) +
      '\0' + site.user + '\0' + site.group;
  auto [at, added] = ids_.try_emplace(std::move(key), next_);
  if (added) ++next_;
  return at->second;
}

void SiteIds::apply(config::Snapshot* snapshot) {
  std::map<uint32_t, uint32_t> renumbered;
  for (config::Site& site : snapshot->sites) {
    uint32_t id = id_for(site);
    renumbered[site.id] = id;
    site.id = id;
  }
  auto renumber = [&](uint32_t& id) {
    auto at = renumbered.find(id);
    if (at != renumbered.end()) id = at->second;
  };
  for (uint32_t& id : snapshot->opener_of_server) renumber(id);
  for (uint32_t& id : snapshot->pool_listen_sites) renumber(id);
  renumber(snapshot->connector);
  config::index_addresses(snapshot);
}

PoolChange compare_pools(const config::PoolConfig& before, const config::PoolConfig& after) {
  config::PoolConfig a = without_socket(before), b = without_socket(after);
  if (config::serialise(a) == config::serialise(b)) return PoolChange::kSame;
  return config::serialise(without_numbers(a)) == config::serialise(without_numbers(b))
             ? PoolChange::kNumbers
             : PoolChange::kDifferent;
}

std::vector<SiteStep> plan_sites(const std::vector<PlannedSite>& before,
                                 const std::vector<PlannedSite>& after) {
  std::map<uint32_t, const PlannedSite*> running;
  for (const PlannedSite& site : before) running[site.id] = &site;
  std::vector<SiteStep> steps;
  for (const PlannedSite& site : after) {
    auto old = running.find(site.id);
    if (old == running.end()) {
      steps.push_back({site.id, SiteAction::kAdd});
    } else {
      steps.push_back({site.id, compare(*old->second, site)});
      running.erase(old);
    }
  }
  for (const auto& [id, site] : running) steps.push_back({id, SiteAction::kRemove});
  return steps;
}

ListenSteps plan_listeners(const std::vector<std::string>& before,
                           const std::vector<std::string>& after) {
  ListenSteps steps;
  std::set<std::string> have(before.begin(), before.end()), want;
  for (const std::string& address : after) {
    if (want.insert(address).second && !have.contains(address)) steps.open.push_back(address);
  }
  for (const std::string& address : before) {
    if (!want.contains(address)) steps.close.push_back(address);
  }
  return steps;
}

}  // namespace bulkhead::master
