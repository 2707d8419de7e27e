#include "front/peers.h"

#include <algorithm>

namespace bulkhead::front {

namespace {

bool is_usable(const PeerPlan& peer, uint64_t tried, size_t index) {
  return !peer.down && (index >= 64 || (tried >> index & 1) == 0);
}

}  // namespace

std::vector<PeerStates::Peer>& PeerStates::states(const Plan& plan, uint32_t upstream) {
  uint64_t generation = plan.snapshot().generation;
  if (generation > generation_) {  // counts of the generation before are kept for its last requests
    std::erase_if(states_, [this](const auto& e) { return e.first >> 32 < generation_; });
    generation_ = generation;
  }
  auto& list = states_[generation << 32 | upstream];
  if (list.empty()) {
    list.resize(plan.upstreams()[upstream].peers.size());
    for (size_t i = 0; i < list.size(); ++i) {
      list[i].effective = plan.upstreams()[upstream].peers[i].weight;
    }
  }
  return list;
}

uint32_t PeerStates::round_robin(const UpstreamPlan& upstream, std::vector<Peer>& states,
                                 uint64_t tried, bool backup, Time now) {
  uint32_t best = config::kNone;
  int64_t total = 0;
  for (uint32_t i = 0; i < states.size(); ++i) {
    const PeerPlan& peer = upstream.peers[i];
    Peer& state = states[i];
    if (peer.backup != backup || !is_usable(peer, tried, i)) continue;
    if (peer.max_fails != 0 && state.fails >= peer.max_fails && upstream.peers.size() > 1 &&
        now - state.checked <= peer.fail_timeout) {
      continue;
    }
    state.current += state.effective;
    total += state.effective;
    if (state.effective < peer.weight) ++state.effective;
    if (best == config::kNone || state.current > states[best].current) best = i;
  }
  if (best == config::kNone) return best;
  states[best].current -= total;
  if (now - states[best].checked > upstream.peers[best].fail_timeout) states[best].checked = now;
  return best;
}

uint32_t PeerStates::choose(const Plan& plan, uint32_t upstream, uint64_t tried, uint64_t hash,
                            Time now) {
  const UpstreamPlan& group = plan.upstreams()[upstream];
  if (group.peers.empty()) return config::kNone;
  if (group.peers.size() == 1) {
    return is_usable(group.peers[0], tried, 0) ? 0 : config::kNone;
  }
  auto& list = states(plan, upstream);
  using Method = config::Upstream::Method;
  if (tried == 0 &&
      (group.source->method == Method::kHash || group.source->method == Method::kIpHash)) {
    auto first = static_cast<uint32_t>(hash % group.peers.size());
    if (is_usable(group.peers[first], tried, first) && !group.peers[first].backup &&
        list[first].fails < std::max(1u, group.peers[first].max_fails)) {
      return first;
    }
  }
  uint32_t peer = round_robin(group, list, tried, false, now);
  return peer != config::kNone ? peer : round_robin(group, list, tried, true, now);
}

void PeerStates::report_failure(const Plan& plan, uint32_t upstream, uint32_t peer, Time now) {
  Peer& state = states(plan, upstream)[peer];
  const PeerPlan& conf = plan.upstreams()[upstream].peers[peer];
  ++state.fails;
  state.failed = state.checked = now;
  if (conf.max_fails != 0) state.effective -= conf.weight / conf.max_fails;
  state.effective = std::max<int64_t>(state.effective, 0);
}

void PeerStates::report_success(const Plan& plan, uint32_t upstream, uint32_t peer) {
  if (plan.upstreams()[upstream].peers.size() == 1) return;
  Peer& state = states(plan, upstream)[peer];
  if (state.failed < state.checked) state.fails = 0;
}

}  // namespace bulkhead::front
