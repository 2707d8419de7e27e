#include "front/peers.h"

#include <algorithm>

#include "front/plan.h"

namespace bulkhead::front {

namespace {

PeerGroup::Method method_of(const config::Upstream& source) {
  using Method = PeerGroup::Method;
  switch (source.method) {
    case config::Upstream::Method::kRoundRobin:
      break;
    case config::Upstream::Method::kLeastConn:
      return Method::kLeastConn;
    case config::Upstream::Method::kRandom:
      return source.random_two ? Method::kRandomTwo : Method::kRandom;
    case config::Upstream::Method::kIpHash:
      return Method::kIpHash;
    case config::Upstream::Method::kHash:
      return source.consistent ? Method::kConsistentHash : Method::kHash;
  }
  return Method::kRoundRobin;
}

}  // namespace

PeerGroup::PeerGroup(const UpstreamPlan& upstream)
    : method_(method_of(*upstream.source)), random_(std::random_device()()) {
  for (uint32_t i = 0; i < upstream.peers.size(); ++i) {
    const PeerPlan& plan = upstream.peers[i];
    Peer& peer = (plan.backup ? backup_ : main_).emplace_back();
    peer.index = i;
    peer.server = plan.server;
    peer.weight = peer.effective = plan.weight;
    peer.max_fails = plan.max_fails;
    peer.max_conns = plan.max_conns;
    peer.fail_timeout = plan.fail_timeout;
    peer.down = plan.down;
    if (!plan.backup) total_weight_ += plan.weight;
  }
  points_ = upstream.points;
}

// ---- one request -----------------------------------------------------------------------------

void PeerChoice::begin(std::shared_ptr<PeerGroup> group, std::string_view key, PeerTime now) {
  release();
  group_ = std::move(group);
  key_ = key;
  started_ = now;
  in_backup_ = false;
  tries_left_ = misses_ = rehash_ = hash_ = 0;
  for (const auto* list : {&group_->main_, &group_->backup_}) {
    for (const Peer& peer : *list) tries_left_ += peer.down ? 0 : 1;
  }
  tried_.assign((group_->main_.size() + 63) / 64, 0);
  if (group_->method_ == PeerGroup::Method::kIpHash) {
    constexpr uint32_t kSeed = 89;
    hash_ = kSeed;
    if (key_.size() == 4) {
      key_.resize(3);  // neighbours in a /24 go to one server
    } else if (key_.size() != 16) {
      key_.assign(3, '\0');
    }
  }
}

std::vector<PeerGroup::Peer>& PeerChoice::peers() const {
  return in_backup_ ? group_->backup_ : group_->main_;
}

bool PeerChoice::was_tried(size_t at) const { return (tried_[at / 64] >> at % 64 & 1) != 0; }

bool PeerChoice::may_use(const Peer& peer, size_t at, PeerTime now) const {
  if (was_tried(at) || peer.down) return false;
  if (peer.max_fails != 0 && peer.fails >= peer.max_fails &&
      now - peer.checked <= peer.fail_timeout) {
    return false;
  }
  return peer.max_conns == 0 || peer.conns < peer.max_conns;
}

uint32_t PeerChoice::take(Peer& peer, size_t at, PeerTime now) {
  if (now - peer.checked > peer.fail_timeout) peer.checked = now;
  ++peer.conns;
  tried_[at / 64] |= uint64_t{1} << at % 64;
  at_ = at;
  return peer.index;
}

uint32_t PeerChoice::next(PeerTime now) {
  release();
  if (group_->is_single()) return single();
  uint32_t index = choose(now);
  if (index != config::kNone || in_backup_ || group_->backup_.empty()) return index;
  in_backup_ = true;
  tried_.assign((group_->backup_.size() + 63) / 64, 0);
  return choose(now);
}

uint32_t PeerChoice::choose(PeerTime now) {
  using Method = PeerGroup::Method;
  const Method method = group_->method_;
  if (peers().empty()) return config::kNone;
  if (method == Method::kLeastConn) return least_conn(now);
  // Backups, and what chance or a hash has missed too often, go round.
  if (method == Method::kRoundRobin || in_backup_ || misses_ > kMissesMax) return round_robin(now);
  switch (method) {
    case Method::kRandom:
      return random(now);
    case Method::kRandomTwo:
      return random_two(now);
    case Method::kIpHash:
      return by_address(now);
    case Method::kHash:
      return key_.empty() ? round_robin(now) : by_key(now);
    case Method::kConsistentHash:
      return key_.empty() ? round_robin(now) : by_circle(now);
    default:
      return round_robin(now);
  }
}

// The only server of an upstream is never left out for its failures.
uint32_t PeerChoice::single() {
  Peer& peer = group_->main_.front();
  if (peer.down || (peer.max_conns != 0 && peer.conns >= peer.max_conns)) return config::kNone;
  ++peer.conns;
  at_ = 0;
  return peer.index;
}

// Smooth weighted round robin: each gains its weight, the richest serves and pays for all.
uint32_t PeerChoice::round_robin(PeerTime now) {
  std::vector<Peer>& list = peers();
  size_t best = kAt;
  int64_t total = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    Peer& peer = list[i];
    if (!may_use(peer, i, now)) continue;
    peer.current += peer.effective;
    total += peer.effective;
    if (peer.effective < peer.weight) ++peer.effective;
    if (best == kAt || peer.current > list[best].current) best = i;
  }
  if (best == kAt) return config::kNone;
  list[best].current -= total;
  return take(list[best], best, now);
}

// Fewest connections by weight; among equals, round robin.
uint32_t PeerChoice::least_conn(PeerTime now) {
  std::vector<Peer>& list = peers();
  auto load = [](const Peer& a, const Peer& b) { return int64_t{a.conns} * b.weight; };
  size_t best = kAt;
  bool many = false;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!may_use(list[i], i, now)) continue;
    if (best == kAt || load(list[i], list[best]) < load(list[best], list[i])) {
      best = i;
      many = false;
    } else if (load(list[i], list[best]) == load(list[best], list[i])) {
      many = true;
    }
  }
  if (best == kAt) return config::kNone;
  int64_t total = 0;
  for (size_t i = best; many && i < list.size(); ++i) {
    Peer& peer = list[i];
    if (!may_use(peer, i, now) || load(peer, list[best]) != load(list[best], peer)) continue;
    peer.current += peer.effective;
    total += peer.effective;
    if (peer.effective < peer.weight) ++peer.effective;
    if (peer.current > list[best].current) best = i;
  }
  list[best].current -= total;
  return take(list[best], best, now);
}

PeerChoice::Verdict PeerChoice::end(Outcome outcome, PeerTime now) {
  if (at_ == kAt) return Verdict::kNothing;
  Peer& peer = peers()[at_];
  Verdict verdict = Verdict::kNothing;
  if (group_->is_single()) {
    tries_left_ = 0;
  } else if (outcome == Outcome::kFailed) {
    ++peer.fails;
    peer.failed = peer.checked = now;
    if (peer.max_fails != 0) {
      peer.effective = std::max<int64_t>(peer.effective - peer.weight / peer.max_fails, 0);
      if (peer.fails >= peer.max_fails) verdict = Verdict::kDisabled;
    }
  } else if (peer.failed < peer.checked) {
    peer.fails = 0;
  }
  if (tries_left_ != 0) --tries_left_;
  --peer.conns;
  at_ = kAt;
  return verdict;
}

void PeerChoice::release() {
  if (at_ == kAt) return;
  Peer& peer = peers()[at_];
  if (!group_->is_single() && peer.failed < peer.checked) peer.fails = 0;
  --peer.conns;
  at_ = kAt;
}

// ---- all upstreams of a loop -----------------------------------------------------------------

std::shared_ptr<PeerGroup> PeerStates::group(const Plan& plan, uint32_t upstream) {
  uint64_t generation = plan.snapshot().generation;
  if (generation > generation_) {  // counts of the generation before are kept for its last requests
    std::erase_if(groups_, [this](const auto& e) { return e.first >> 32 < generation_; });
    generation_ = generation;
  }
  std::shared_ptr<PeerGroup>& group = groups_[generation << 32 | upstream];
  if (!group) group = std::make_shared<PeerGroup>(plan.upstreams()[upstream]);
  return group;
}

}  // namespace bulkhead::front
