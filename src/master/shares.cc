// See shares.h.
#include "master/shares.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "sandbox/quota.h"

namespace bulkhead::master {
namespace {

using sandbox::Controller;

constexpr loop::Millis kSweepEvery{20};
constexpr int kLastSweeps = 50;  // of 20 ms: master ends, and with it what it has killed

// The controllers that these limits need.
uint8_t needed(const config::PoolLimits& limits) {
  uint8_t set = 0;
  if (limits.memory_bytes) set |= static_cast<uint8_t>(Controller::kMemory);
  if (limits.cpu_percent) set |= static_cast<uint8_t>(Controller::kCpu);
  if (limits.io_bytes_per_second) set |= static_cast<uint8_t>(Controller::kIo);
  return set;
}

std::string json_list(uint8_t set, bool disk) {
  std::string names = sandbox::controller_names(set), out;
  if (disk) names += names.empty() ? "disk" : ", disk";
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find(", ", at), names.size());
    out += (out.empty() ? "\"" : ",\"") + names.substr(at, end - at) + "\"";
    at = end + 2;
  }
  return "[" + out + "]";
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

Shares::~Shares() {
  if (!tree_) return;
  for (int i = 0; i < kLastSweeps && !ending_.empty(); ++i) {
    std::erase_if(ending_, [](Run& run) { return run.group->remove(); });
    if (ending_.empty()) break;
    const timespec pause{0, std::chrono::nanoseconds(kSweepEvery).count()};
    ::nanosleep(&pause, nullptr);
  }
  sites_.clear();
  front_.reset();
  tree_->remove();
}

void Shares::open(const std::vector<config::PoolLimits>& wanted, Tasks tasks,
                  const std::string& state) {
  disk_ = !state.empty() && sandbox::has_project_quota(state);
  const bool wants_disk = std::any_of(wanted.begin(), wanted.end(),
                                      [](const auto& limits) { return limits.disk_bytes; });
  if (wants_disk && !disk_ && !std::exchange(disk_said_, true)) {
    warn_("limit.disk is not in force: the file system of " + state + sandbox::kNoQuota);
  }
  if (!tree_ && why_.empty()) {
    auto place = sandbox::GroupTree::find_place();
    auto made = place ? sandbox::GroupTree::create(*place)
                      : Result<sandbox::GroupTree>(std::unexpected(place.error()));
    if (made) {
      tree_ = std::move(*made);
    } else {
      why_ = made.error().describe();
    }
  }
  say_missing(wanted, tasks);
}

void Shares::say_missing(const std::vector<config::PoolLimits>& wanted, Tasks tasks) {
  uint8_t needs = 0;
  for (const config::PoolLimits& limits : wanted) needs |= needed(limits);
  const auto missing = static_cast<uint8_t>(needs & ~controllers() & ~said_);
  if (missing != 0) {
    said_ |= missing;
    warn_("limits of " + sandbox::controller_names(missing) +
          " are not in force: this machine's cgroup version 2 has no such controllers" +
          (why_.empty() ? "" : " (" + why_ + ")"));
  }
  const auto by_group = static_cast<uint8_t>(Controller::kTasks);
  if (tasks == Tasks::kWanted && ((controllers() | said_) & by_group) == 0) {
    said_ |= by_group;
    warn_(
        "no cgroup controller counts tasks: each site's processes are limited by its user's "
        "RLIMIT_NPROC instead");
  }
}

Result<Shares::Run> Shares::begin(const std::string& site, const config::PoolLimits& limits,
                                  uint32_t number, Need need) {
  const auto missing = static_cast<uint8_t>(needed(limits) & ~controllers());
  if (need == Need::kMust && missing != 0) {
    return fail("sandbox = strict: limits of " + sandbox::controller_names(missing) +
                " cannot be kept: this machine's cgroup version 2 has no such controllers");
  }
  if (need == Need::kMust && limits.disk_bytes && !disk_) {
    return fail(std::string("sandbox = strict: limit.disk cannot be kept: the state directory's ") +
                "file system" + sandbox::kNoQuota);
  }
  Run run;
  run.site = site;
  run.controllers = controllers();
  if (!tree_) return run;
  Site& entry = sites_[site];
  if (!entry.group) {
    auto made = tree_->make_site(site);
    if (!made) {
      forget(site);
      return std::unexpected(made.error());
    }
    entry.group = std::move(*made);
  }
  if (entry.runs == 0 || entry.limits != limits) {
    if (auto set = entry.group->limit(limits); !set) {
      if (need == Need::kMust) {
        forget(site);
        return fail("sandbox = strict: a limit cannot be kept: " + set.error().describe());
      }
      warn_("site " + site + ": a limit is not in force: " + set.error().describe());
    }
    entry.limits = limits;
  }
  run.memory_ends = entry.group->memory_ends();
  auto group = entry.group->begin_run(number);
  if (!group) {
    forget(site);
    return std::unexpected(group.error());
  }
  run.group = std::move(*group);
  ++entry.runs;
  return run;
}

bool Shares::change(const std::string& site, const config::PoolLimits& before,
                    const config::PoolLimits& limits) {
  if (before == limits) return true;
  if (auto at = sites_.find(site); at != sites_.end()) {
    at->second.limits = limits;
    if (auto set = at->second.group->limit(limits); !set) {
      warn_("site " + site + ": a limit is not in force: " + set.error().describe());
    }
  }
  const bool by_group = (controllers() & static_cast<uint8_t>(Controller::kTasks)) != 0;
  return (by_group || before.tasks == limits.tasks) && before.disk_bytes == limits.disk_bytes;
}

bool Shares::end(Run run) {
  if (!run.group) return false;
  auto at = sites_.find(run.site);
  const bool memory = at != sites_.end() && at->second.group->memory_ends() > run.memory_ends;
  if (auto killed = run.group->kill(); !killed) {
    warn_("site " + run.site + ": its processes cannot be ended: " + killed.error().describe());
  }
  ending_.push_back(std::move(run));
  sweep();
  return memory;
}

// Groups whose processes have all gone are removed; the others are looked at again.
void Shares::sweep() {
  std::vector<Run> left;
  for (Run& run : ending_) {
    if (!run.group->remove()) {
      left.push_back(std::move(run));
      continue;
    }
    auto at = sites_.find(run.site);
    if (at != sites_.end() && --at->second.runs == 0) forget(run.site);
  }
  ending_ = std::move(left);
  if (ending_.empty()) return;
  if (!sweeper_) sweeper_ = std::make_unique<loop::Timer>([this] { sweep(); });
  sweeper_->arm(loop_, kSweepEvery);
}

void Shares::forget(const std::string& site) {
  auto at = sites_.find(site);
  if (at == sites_.end() || at->second.runs != 0) return;
  if (at->second.group) (void)at->second.group->remove();
  sites_.erase(at);
}

sys::FdRef Shares::front_group() {
  if (!tree_ || front_.valid()) return front_;
  auto made = tree_->make_front();
  if (!made) {
    warn_("front has no share of the processor of its own: " + made.error().describe());
    return {};
  }
  front_ = std::move(*made);
  return front_;
}

std::string Shares::group_of(const std::string& site) const {
  auto at = sites_.find(site);
  if (!tree_ || at == sites_.end() || !at->second.group) return "";
  return tree_->path() + "/" + at->second.group->name();
}

std::string Shares::status_json() const {
  const uint8_t have = controllers();
  return "{\"group\":" + quoted(tree_ ? tree_->path() : "") +
         ",\"controllers\":" + json_list(have, disk_) + ",\"missing\":" +
         json_list(static_cast<uint8_t>(sandbox::kAllControllers & ~have), !disk_) +
         ",\"why\":" + quoted(why_) + "}";
}

}  // namespace bulkhead::master
