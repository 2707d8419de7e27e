// The ways to choose a server that go by a client's address, a key or chance.
//
// Runs in: front.  Input: Plan (trusted), the key of `hash` (hostile bytes).
// Ref: nginx 1.22: the places of keys are the same, so that caches stay warm when it is replaced;
// Cache::Memcached (hash) and Cache::Memcached::Fast (hash ... consistent) place them so too.
#include <algorithm>
#include <array>

#include "front/peers.h"
#include "front/plan.h"
#include "http/ascii.h"

namespace bulkhead::front {

namespace {

// CRC-32 as zip and Ethernet have it (polynomial 0x04c11db7, reflected).
constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();
constexpr uint32_t kCrcStart = 0xffffffff;

uint32_t crc_update(uint32_t crc, std::string_view bytes) {
  for (char c : bytes) crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return crc;
}

constexpr uint32_t kPointsPerWeight = 160;

// "HOST\0PORT" of a server as it is written in the configuration.
std::string circle_name(std::string_view server) {
  constexpr std::string_view kUnix = "unix:";
  std::string_view host = server, port;
  if (http::istarts_with(server, kUnix)) {
    host = server.substr(kUnix.size());
  } else {
    size_t last = server.find_last_not_of("0123456789");
    if (last != std::string_view::npos && server[last] == ':') {
      host = server.substr(0, last);
      port = server.substr(last + 1);
    }
  }
  std::string name(host);
  name += '\0';
  name += port;
  return name;
}

}  // namespace

HashPoints make_hash_points(const UpstreamPlan& upstream) {
  std::vector<HashPoint> points;
  for (const PeerPlan& peer : upstream.peers) {
    if (peer.backup) continue;
    const uint32_t base =
        crc_update(kCrcStart, circle_name(upstream.source->servers[peer.server].address));
    uint32_t previous = 0;
    for (uint64_t i = 0; i < uint64_t{peer.weight} * kPointsPerWeight; ++i) {
      const std::array<char, 4> bytes = {
          static_cast<char>(previous), static_cast<char>(previous >> 8),
          static_cast<char>(previous >> 16), static_cast<char>(previous >> 24)};
      previous = ~crc_update(base, {bytes.data(), bytes.size()});
      points.push_back({previous, peer.server});
    }
  }
  auto before = [](const HashPoint& a, const HashPoint& b) { return a.hash < b.hash; };
  auto same = [](const HashPoint& a, const HashPoint& b) { return a.hash == b.hash; };
  std::stable_sort(points.begin(), points.end(), before);
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
  points.shrink_to_fit();
  return std::make_shared<const std::vector<HashPoint>>(std::move(points));
}

size_t PeerGroup::of_weight(int64_t weight) const {
  size_t at = 0;
  for (; weight >= main_[at].weight; ++at) weight -= main_[at].weight;
  return at;
}

size_t PeerGroup::draw() {
  return of_weight(std::uniform_int_distribution<int64_t>(0, total_weight_ - 1)(random_));
}

uint32_t PeerChoice::by_address(PeerTime now) {
  for (;;) {
    uint32_t hash = hash_;
    for (char c : key_) hash = (hash * 113 + static_cast<uint8_t>(c)) % 6271;
    hash_ = hash;
    const size_t at = group_->of_weight(hash % group_->total_weight_);
    if (may_use(group_->main_[at], at, now)) return take(group_->main_[at], at, now);
    if (count_miss()) return round_robin(now);
  }
}

uint32_t PeerChoice::by_key(PeerTime now) {
  for (;;) {
    uint32_t crc = kCrcStart;
    if (rehash_ > 0) crc = crc_update(crc, std::to_string(rehash_));
    crc = ~crc_update(crc, key_);
    hash_ += crc >> 16 & 0x7fff;
    ++rehash_;
    const size_t at = group_->of_weight(hash_ % group_->total_weight_);
    if (may_use(group_->main_[at], at, now)) return take(group_->main_[at], at, now);
    if (count_miss()) return round_robin(now);
  }
}

// Among the addresses of one server, round robin; kAt: none may be used.
size_t PeerChoice::best_of_server(uint32_t server, PeerTime now) {
  std::vector<Peer>& list = group_->main_;
  size_t best = kAt;
  int64_t total = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    Peer& peer = list[i];
    if (peer.server != server || !may_use(peer, i, now)) continue;
    peer.current += peer.effective;
    total += peer.effective;
    if (peer.effective < peer.weight) ++peer.effective;
    if (best == kAt || peer.current > list[best].current) best = i;
  }
  if (best != kAt) list[best].current -= total;
  return best;
}

uint32_t PeerChoice::by_circle(PeerTime now) {
  const std::vector<HashPoint>& points = *group_->points_;
  if (rehash_ == 0) {  // from the key's place on
    const uint32_t hash = ~crc_update(kCrcStart, key_);
    auto before = [](const HashPoint& point, uint32_t value) { return point.hash < value; };
    const auto found = std::lower_bound(points.begin(), points.end(), hash, before);
    hash_ = static_cast<uint32_t>(found - points.begin());
    rehash_ = 1;
  }
  for (;;) {
    const size_t best = best_of_server(points[hash_ % points.size()].server, now);
    if (best != kAt) return take(group_->main_[best], best, now);
    ++hash_;
    if (count_miss()) return round_robin(now);
  }
}

uint32_t PeerChoice::random(PeerTime now) {
  for (;;) {
    const size_t at = group_->draw();
    if (may_use(group_->main_[at], at, now)) return take(group_->main_[at], at, now);
    if (count_miss()) return round_robin(now);
  }
}

// Two by chance; of them the one with fewer connections by weight.
uint32_t PeerChoice::random_two(PeerTime now) {
  std::vector<Peer>& list = group_->main_;
  size_t first = kAt;
  for (;;) {
    size_t at = group_->draw();
    if (at != first && may_use(list[at], at, now)) {
      if (first != kAt) {
        const Peer &a = list[first], &b = list[at];
        if (int64_t{b.conns} * a.weight > int64_t{a.conns} * b.weight) at = first;
        return take(list[at], at, now);
      }
      first = at;
    }
    if (count_miss()) return round_robin(now);
  }
}

}  // namespace bulkhead::front
