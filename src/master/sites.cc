#include "master/sites.h"

#include <algorithm>
#include <thread>

#include "sys/files.h"
#include "sys/sealed.h"

namespace bulkhead::master {

Sites::~Sites() = default;

bool Sites::is_eager(const Site& site) {
  return site.spec.has_pool && site.spec.pool.pm != config::Pm::kOndemand;
}

bool Sites::has_pools() const {
  return std::any_of(sites_.begin(), sites_.end(),
                     [](const auto& entry) { return entry.second.spec.has_pool; });
}

size_t Sites::waiting_for_pools() const {
  return static_cast<size_t>(std::count_if(sites_.begin(), sites_.end(), [](const auto& entry) {
    const Site& site = entry.second;
    return is_eager(site) && !site.failed && (site.current == nullptr || !site.current->ready());
  }));
}

Sites::Site* Sites::find(uint32_t id) {
  auto at = sites_.find(id);
  return at == sites_.end() ? nullptr : &at->second;
}

SiteLife* Sites::find_life(uint32_t site, uint32_t epoch) {
  for (const auto& life : lives_) {
    if (life->site() == site && life->epoch() == epoch) return life.get();
  }
  return nullptr;
}

SiteSpec Sites::spec_of(size_t index, const Loaded& loaded) {
  const config::Site& site = loaded.snapshot.sites[index];
  SiteSpec spec;
  spec.id = site.id;
  spec.name = site.name;
  spec.has_pool = site.has_pool;
  if (const config::PoolConfig* pool = loaded.pool_of(site)) spec.pool = *pool;
  if (index < loaded.identities.size()) spec.identity = loaded.identities[index];
  if (index < loaded.policies.size()) spec.policy = loaded.policies[index];
  spec.limits = config::read_limits(spec.pool);
  return spec;
}

SiteLife* Sites::life_for(uint32_t front, uint32_t site) {
  for (const auto& life : lives_) {
    if (life->front == front && life->site() == site && !life->stopping()) return life.get();
  }
  return nullptr;
}

// As many at once as there are processors: starting is work for a processor.
Sites::Sites(Wiring wiring)
    : w_(std::move(wiring)), gate_(std::max(std::thread::hardware_concurrency(), 2U)) {}

void Sites::problem(const Site& site, const std::string& text) {
  if (site.spec.has_pool) {
    w_.log.fpm(FpmLevel::kError, "[pool " + site.spec.name + "] " + text);
  } else {
    w_.log.nginx(LogLevel::kAlert, "site " + site.spec.name + ": " + text);
  }
}

void Sites::configure(const Loaded& loaded) {
  std::map<uint32_t, SiteSpec> wanted;
  std::vector<PlannedSite> before, after;
  for (size_t i = 0; i < loaded.snapshot.sites.size(); ++i) {
    wanted[loaded.snapshot.sites[i].id] = spec_of(i, loaded);
  }
  auto pool_of = [](const SiteSpec& s) { return s.has_pool ? &s.pool : nullptr; };
  for (const auto& [id, site] : sites_) {
    before.push_back({id, pool_of(site.spec), &site.spec.policy});
  }
  for (const auto& [id, spec] : wanted) after.push_back({id, pool_of(spec), &spec.policy});
  graceful_patience_ = Millis(loaded.fpm ? loaded.fpm->global.process_control_timeout_s * 1000 : 0);
  for (const SiteStep& step : plan_sites(before, after)) {
    if (step.action == SiteAction::kRemove) {
      remove(step.id);
      continue;
    }
    Site& site = sites_[step.id];
    const config::PoolLimits limits_before = site.spec.limits;
    site.spec = std::move(wanted[step.id]);
    site.failed = site.cannot_start = false;
    site.retry_at = {};
    if (step.action == SiteAction::kReplace) {
      replace(site);
    } else if (step.action == SiteAction::kResize) {
      const bool taken = w_.shares.change(site.spec.name, limits_before, site.spec.limits);
      taken ? resize(site) : replace(site);
    }
  }
}

void Sites::remove(uint32_t id) {
  Site* site = find(id);
  if (site == nullptr) return;
  if (site->replacement != nullptr) retire(site->replacement, false);
  if (site->current != nullptr) {
    say_down(*site->current, 2);
    const bool unlimited = graceful_patience_ == Millis(0);
    site->current->stop(true, unlimited ? kRemovedPatience : graceful_patience_);
  }
  if (site->wanted) refuse(front_, id);
  sites_.erase(id);
}

void Sites::resize(Site& site) {
  auto bytes = sys::create_sealed("pool", config::serialise(site.spec.pool));
  if (!bytes) return problem(site, bytes.error().describe());
  sys::FdRef fds[] = {*bytes};
  for (SiteLife* life : {site.current, site.replacement}) {
    if (life != nullptr) life->send(ipc::Op::kResize, {}, fds);
  }
}

void Sites::replace(Site& site) {
  if (site.replacement != nullptr) retire(std::exchange(site.replacement, nullptr), false);
  if (site.current == nullptr) return;
  if (!site.current->ready()) {
    // Not up yet: nothing to keep.
    retire(std::exchange(site.current, nullptr), true);
    if (is_eager(site)) start(site);
    return;
  }
  site.replacement = launch(site, Announce::kWhenReady, front_);
}

void Sites::replace_all(const std::string& php_version) {
  for (auto& [id, site] : sites_) {
    if (site.spec.has_pool && site.spec.pool.php_version == php_version) replace(site);
  }
}

void Sites::start_eager() {
  for (auto& [id, site] : sites_) {
    if (is_eager(site) && site.current == nullptr && !stopping_) start(site);
  }
}

void Sites::refuse(uint32_t front, uint32_t id) {
  ipc::SiteDownBody down{id, 0, 1};
  w_.to_front(front, ipc::Op::kSiteDown, ipc::body_bytes(down), {});
}

void Sites::wake(uint32_t front, uint32_t id) {
  Site* site = find(id);
  if (site == nullptr || stopping_) return refuse(front, id);
  if (front != front_) return wake_for_old(front, *site);
  if (site->current != nullptr) {
    if (!site->current->announced) announce(*site, site->current);
    return;
  }
  auto wait = std::chrono::ceil<Millis>(site->retry_at - w_.loop.now());
  // One that died is waited for, at most Backoff::kLongest; one that cannot start is not.
  if (wait > kWakePatience && site->cannot_start) return refuse(front, id);
  if (wait > Millis(0)) {
    site->wanted = true;
    restart_in(*site, wait);
    return;
  }
  if (!gate_.enter({front, id}, w_.loop.now())) {
    if (!gate_timer_.armed()) gate_timer_.arm(w_.loop, WakeGate::kHold);
    return;
  }
  wake_now(front, id);
}

// The gate counts the site as starting: until it is ready or has ended.
void Sites::wake_now(uint32_t front, uint32_t id) {
  Site* site = find(id);
  const bool may_start =
      site != nullptr && !stopping_ && front == front_ && site->current == nullptr;
  if (may_start && start(*site)) return;
  gate_.leave(id);
  if (may_start) {
    refuse(front, id);
  } else {
    wake(front, id);  // it went, or came up, while this waited
  }
}

void Sites::admit() {
  while (auto wanted = gate_.next(w_.loop.now())) wake_now(wanted->front, wanted->site);
  if (gate_.is_anybody_waiting()) gate_timer_.arm(w_.loop, WakeGate::kHold);
}

// A front that only finishes what it has begun may need a site that it has not asked for before.
void Sites::wake_for_old(uint32_t front, Site& site) {
  if (life_for(front, site.spec.id) != nullptr) return;
  if (launch(site, Announce::kNow, front) == nullptr) refuse(front, site.spec.id);
}

bool Sites::start(Site& site) {
  site.current = launch(site, Announce::kNow, front_);
  if (site.current == nullptr) restart_later(site, Millis(0));
  return site.current != nullptr;
}

SiteLife* Sites::launch(Site& site, Announce when, uint32_t front) {
  SiteLife::Hooks hooks{
      [this](SiteLife* life) { on_ready(life); }, [this](SiteLife* life) { on_idle(life); },
      [this](SiteLife* life, uint8_t level, std::string_view text) { on_log(life, level, text); },
      [this](SiteLife* life, const std::string& what) {
        w_.log.nginx(LogLevel::kAlert, "killed the process " + std::to_string(life->pid()) +
                                           " of site " + life->name() + ": it " + what);
      },
      [this](SiteLife* life) { on_ended(life); }};
  auto owned = std::make_unique<SiteLife>(w_.loop, w_.reaper, site.spec.id, next_epoch_++,
                                          site.spec.name, std::move(hooks));
  SiteLife* life = owned.get();
  life->front = front;
  if (auto begun = begin(site, life); !begun) {
    problem(site, "cannot start: " + begun.error().describe());
    (void)w_.shares.end(std::move(life->share));
    site.failed = site.cannot_start = true;
    site.why = begun.error().describe();
    // The caller may be inside one of its callbacks.
    w_.loop.defer([dead = std::shared_ptr<SiteLife>(std::move(owned))] {});
    return nullptr;
  }
  lives_.push_back(std::move(owned));
  if (when == Announce::kNow) announce(site, life);
  return life;
}

Status Sites::begin(Site& site, SiteLife* life) {
  const auto need =
      site.spec.policy.mode == sandbox::Mode::kStrict ? Shares::Need::kMust : Shares::Need::kMay;
  const sandbox::SitePolicy& policy = site.spec.policy;
  const bool in_group = policy.mode == sandbox::Mode::kOff || policy.wants(sandbox::Layer::kCgroup);
  if (in_group) {
    life->share = TRY(w_.shares.begin(site.spec.name, site.spec.limits, life->epoch(), need));
  }
  life->ends = TRY(SiteEnds::create(site.spec.has_pool, std::max(loops_of_[life->front], 1u)));
  if (!site.spec.has_pool) return life->start_files(site.spec, &life->ends);
  SiteLife::ForkRequest request = TRY(life->prepare_fork(site.spec, life->ends));
  life->zygote = w_.to_zygote(site.spec.pool.php_version, ipc::Op::kFork,
                              ipc::body_bytes(request.body), request.fds);
  if (life->zygote == 0) {
    return fail("PHP is not running");
  }
  life->ends.site_channels.clear();
  return {};
}

void Sites::announce(const Site& site, SiteLife* life) {
  SiteEnds& ends = life->ends;
  ipc::SiteUpBody body{life->site(), life->epoch(),
                       static_cast<uint32_t>(ends.front_channels.size()), 0};
  std::vector<sys::FdRef> fds;
  if (site.spec.has_pool) {
    body.workers_max = static_cast<uint32_t>(std::max(site.spec.pool.max_children, 1));
    fds.push_back(ends.bell);
  }
  for (size_t i = 0; i < ends.front_channels.size(); ++i) {
    if (site.spec.has_pool) {
      fds.push_back(ends.segments[i]);
      fds.push_back(ends.wakes[i]);
    }
    fds.push_back(ends.front_channels[i]);
  }
  life->announced = w_.to_front(life->front, ipc::Op::kSiteUp, ipc::body_bytes(body), fds);
  // Ours would keep the channels open after front or the site has died.
  if (life->announced) life->ends = {};
}

void Sites::say_down(const SiteLife& life, uint32_t reason) {
  if (!life.announced) return;
  ipc::SiteDownBody down{life.site(), life.epoch(), reason};
  w_.to_front(life.front, ipc::Op::kSiteDown, ipc::body_bytes(down), {});
}

void Sites::retire(SiteLife* life, bool graceful) {
  say_down(*life, 2);
  life->stop(graceful, graceful ? graceful_patience_ : kStopPatience);
}

}  // namespace bulkhead::master
