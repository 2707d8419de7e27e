// What happens to a site's lives: ready, idle, talking, ended.
//
// Runs in: master.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "master/sites.h"
#include "sys/files.h"

namespace bulkhead::master {

void Sites::on_forked(const ipc::ForkedBody& body, sys::Fd pidfd) {
  if (SiteLife* life = find_life(body.site, body.epoch)) {
    life->forked(body.pid, std::move(pidfd));
    w_.on_change();
  } else {
    // Given up meanwhile; its channel is closed, so it ends by itself.  Make sure of it.
    (void)sys::send_signal(pidfd, 9);
  }
}

void Sites::on_fork_failed(uint32_t id, int error) {
  for (size_t i = 0; i < lives_.size(); ++i) {
    SiteLife* life = lives_[i].get();
    if (life->site() != id || life->pid() > 0) continue;
    w_.log.fpm(FpmLevel::kError, "[pool " + life->name() + "] fork() failed: " +
                                     std::strerror(error) + " (" + std::to_string(error) + ")");
    life->fork_failed();
    return;
  }
}

void Sites::zygote_lost(uint32_t number) {
  std::vector<SiteLife*> lost;
  for (const auto& life : lives_) {
    if (life->pid() <= 0 && life->zygote == number) lost.push_back(life.get());
  }
  for (SiteLife* life : lost) life->fork_failed();
}

void Sites::use_front(uint32_t front, uint32_t loops) {
  front_ = front;
  loops_of_[front] = loops;
  for (auto& [id, site] : sites_) {
    // Nobody has heard of them yet.
    if (site.replacement != nullptr) retire(std::exchange(site.replacement, nullptr), false);
    SiteLife* current = std::exchange(site.current, nullptr);
    if (current != nullptr && !current->announced) retire(current, false);
  }
}

void Sites::front_ended(uint32_t front) {
  for (auto& [id, site] : sites_) {
    if (front == front_) site.current = site.replacement = nullptr;
  }
  for (size_t i = 0; i < lives_.size(); ++i) {
    SiteLife* life = lives_[i].get();
    if (life->front != front) continue;
    life->announced = false;
    if (!life->stopping()) life->stop(true, graceful_patience_);
  }
  loops_of_.erase(front);
}

void Sites::refused(uint32_t front, uint32_t id) {
  SiteLife* life = life_for(front, id);
  if (life == nullptr) return;
  w_.log.nginx(LogLevel::kAlert, "site " + life->name() + " broke protocol and is stopped");
  life->kill();
}

void Sites::reopen_logs() {
  for (auto& [id, site] : sites_) {
    if (!site.spec.has_pool || site.spec.pool.access_log.empty()) continue;
    auto fd = sys::open_log(site.spec.pool.access_log, 0600);
    if (!fd) {
      problem(site, "unable to re-open access log: " + fd.error().describe());
      continue;
    }
    sys::FdRef fds[] = {*fd};
    for (const auto& life : lives_) {
      if (life->site() == id) life->send(ipc::Op::kReopen, {}, fds);
    }
  }
}

void Sites::stop_all(bool graceful, Millis patience) {
  stopping_ = true;
  for (auto& [id, site] : sites_) site.restart.reset();
  for (size_t i = 0; i < lives_.size(); ++i) lives_[i]->stop(graceful, patience);
}

void Sites::kill_all() {
  stopping_ = true;
  for (size_t i = 0; i < lives_.size(); ++i) lives_[i]->kill();
}

void Sites::on_ready(SiteLife* life) {
  gate_.leave(life->site());
  admit();
  Site* site = find(life->site());
  if (site == nullptr) return;
  site->failed = site->cannot_start = false;
  site->why.clear();
  if (site->replacement == life) {
    // The new one takes over; the old one finishes what it has.
    SiteLife* old = std::exchange(site->current, std::exchange(site->replacement, nullptr));
    announce(*site, life);
    if (old != nullptr) old->stop(true, graceful_patience_);
  }
  w_.on_change();
}

void Sites::on_idle(SiteLife* life) {
  Site* site = find(life->site());
  if (site == nullptr || site->current != life || site->replacement != nullptr) return;
  if (is_eager(*site) && site->spec.pool.idle_timeout_s == 0) return;
  site->current = nullptr;
  retire(life, true);
}

void Sites::on_log(SiteLife* life, uint8_t level, std::string_view text) {
  Site* site = find(life->site());
  if (site != nullptr) {
    int64_t second = w_.loop.wall_seconds();
    if (site->second != second) {
      uint32_t dropped = std::exchange(site->dropped, 0);
      site->second = second;
      site->lines = 0;
      if (dropped != 0) {
        w_.log.fpm(FpmLevel::kWarning, "[pool " + life->name() + "] " + std::to_string(dropped) +
                                           " log lines dropped: more than " +
                                           std::to_string(kLogLinesPerSecond) + " in a second");
      }
    }
    if (++site->lines > kLogLinesPerSecond) {
      ++site->dropped;
      return;
    }
  }
  std::string line = clean(text);
  // Only where the administrator wants it so: a raw line can look like anybody's.
  bool raw = site != nullptr && !site->spec.pool.decorate_workers_output;
  if (level == 0 && raw) return w_.log.fpm_raw(line);
  auto as = static_cast<FpmLevel>(std::clamp<uint8_t>(level, 1, 5));
  w_.log.fpm(as, "[pool " + life->name() + "] " + line);
}

void Sites::log_end(const SiteLife& life) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.6f", static_cast<double>(life.lived().count()) / 1000);
  w_.log.fpm(FpmLevel::kWarning, "[pool " + life.name() + "] pool process " +
                                     std::to_string(life.pid()) + " ended unexpectedly after " +
                                     seconds + " seconds from start");
}

Millis Sites::restart_later(Site& site, Millis lived) {
  Millis delay = site.backoff.ended(lived);
  site.retry_at = w_.loop.now() + delay;
  if (is_eager(site) && !stopping_) restart_in(site, delay);
  return delay;
}

void Sites::restart_in(Site& site, Millis delay) {
  if (site.restart != nullptr && site.restart->armed()) return;
  site.restart = std::make_unique<loop::Timer>([this, id = site.spec.id] {
    // The timer is replaced by a failing start: not from inside itself.
    w_.loop.defer([this, id] { restart(id); });
  });
  site.restart->arm(w_.loop, std::max(delay, Millis(1)));
}

void Sites::restart(uint32_t id) {
  Site* site = find(id);
  if (site == nullptr || stopping_) return;
  bool wanted = std::exchange(site->wanted, false);
  if (site->current == nullptr && !start(*site) && wanted) refuse(front_, id);
}

void Sites::on_ended(SiteLife* life) {
  gate_.leave(life->site());
  if (w_.shares.end(std::move(life->share))) {
    w_.log.fpm(FpmLevel::kError,
               "[pool " + life->name() + "] was ended by its memory limit (limit.memory)");
  }
  Site* site = find(life->site());
  bool is_current = site != nullptr && site->current == life;
  bool replaces = site != nullptr && site->replacement == life;
  uint32_t reason = life->ready() ? 0 : 1;
  if (replaces) {
    site->replacement = nullptr;
    problem(*site, "the new pool did not start; the old one keeps serving");
  } else if (is_current) {
    site->current = nullptr;
    site->failed = !life->ready();
    site->cannot_start = life->explained();
    if (life->explained()) site->why = life->explanation();
    if (!stopping_) {
      ++site->restarts;
      if (site->spec.has_pool && life->ready()) log_end(*life);
      if (!site->spec.has_pool) {
        problem(*site,
                "process " + std::to_string(life->pid()) + " " + describe(life->how(), false));
      }
      Millis delay = restart_later(*site, life->lived());
      // Killed while it started, for all we know: what waits for it asks once more.
      if (!life->explained() && delay <= kWakePatience) reason = 0;
    }
  }
  say_down(*life, reason);
  auto at = std::find_if(lives_.begin(), lives_.end(), [&](auto& l) { return l.get() == life; });
  if (at != lives_.end()) {
    // It may be running one of its own callbacks: it dies when the loop is back.
    w_.loop.defer([dead = std::shared_ptr<SiteLife>(std::move(*at))] {});
    lives_.erase(at);
  }
  admit();
  w_.on_change();
}

std::vector<Sites::Report> Sites::report() const {
  std::vector<Report> out;
  for (const auto& [id, site] : sites_) {
    Report one{.id = id, .name = site.spec.name, .state = "asleep"};
    one.has_pool = site.spec.has_pool;
    const sandbox::SitePolicy& policy = site.spec.policy;
    one.sandbox = policy.mode == sandbox::Mode::kOff      ? "off"
                  : policy.mode == sandbox::Mode::kStrict ? "strict"
                                                          : "on";
    one.layers_off =
        sandbox::layer_names(static_cast<sandbox::LayerSet>(sandbox::kAllLayers & ~policy.layers));
    one.wide = policy.wide;
    one.php = site.spec.pool.php_version;
    one.why = site.why;
    one.restarts = site.restarts;
    if (site.spec.has_pool) {
      one.workers_max = static_cast<uint32_t>(std::max(site.spec.pool.max_children, 1));
    }
    one.user = site.spec.identity ? site.spec.identity->name : sys::user_name(::getuid());
    if (site.current != nullptr) one.state = site.current->ready() ? "up" : "starting";
    if (site.current == nullptr && site.failed) one.state = "failed";
    if (site.replacement != nullptr) one.state = "replacing";
    for (const auto& life : lives_) {
      if (life->site() == id && life->pid() > 0) one.pids.push_back(life->pid());
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace bulkhead::master
