// Which server of an upstream answers a request: weights, connections, hashes, failures, backups.
//
// Runs in: front.  Input: Plan (trusted); the key of `hash` is a client's (hostile bytes).
// Threads: one event loop.  What nginx counts per worker process is counted per loop.
// Ref: nginx 1.22 ngx_http_upstream_module ("server", "least_conn", "random", "ip_hash", "hash").
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bulkhead::front {

class Plan;
struct UpstreamPlan;
using PeerTime = std::chrono::steady_clock::time_point;

// Where `hash ... consistent` puts a server on the circle of hashes; 160 times its weight.
struct HashPoint {
  uint32_t hash = 0;
  uint32_t server = 0;  // PeerPlan::server
};
using HashPoints = std::shared_ptr<const std::vector<HashPoint>>;
// All points of an upstream, ascending, one per hash.
HashPoints make_hash_points(const UpstreamPlan& upstream);

// The servers of one upstream, as one loop knows them.
class PeerGroup {
 public:
  enum class Method : uint8_t {
    kRoundRobin,
    kLeastConn,
    kRandom,
    kRandomTwo,
    kIpHash,
    kHash,
    kConsistentHash
  };
  explicit PeerGroup(const UpstreamPlan& upstream);

 private:
  friend class PeerChoice;
  struct Peer {
    uint32_t index = 0;   // into UpstreamPlan::peers
    uint32_t server = 0;  // PeerPlan::server
    int64_t weight = 1, current = 0, effective = 1;
    uint32_t max_fails = 1, max_conns = 0;
    uint32_t fails = 0, conns = 0;
    std::chrono::milliseconds fail_timeout{10000};
    bool down = false;
    PeerTime failed{}, checked{};
  };
  [[nodiscard]] bool is_single() const { return main_.size() == 1 && backup_.empty(); }
  size_t draw();  // from main_, by weight
  // The server of main_ whose share of all weights holds `weight`, which is below their sum.
  [[nodiscard]] size_t of_weight(int64_t weight) const;

  Method method_ = Method::kRoundRobin;
  std::vector<Peer> main_, backup_;
  int64_t total_weight_ = 0;  // of main_
  HashPoints points_;         // kConsistentHash
  std::minstd_rand random_;   // spreads load, keeps no secret
};

// A request's way through an upstream's servers.  From next() to end() or release() it counts as a
// connection of the server it chose.
class PeerChoice {
 public:
  PeerChoice() = default;
  PeerChoice(const PeerChoice&) = delete;
  PeerChoice& operator=(const PeerChoice&) = delete;
  ~PeerChoice() { release(); }

  // `key`: the value of `hash KEY`, or for ip_hash the client's address, 4 or 16 bytes, anything
  // else for clients without one.
  void begin(std::shared_ptr<PeerGroup> group, std::string_view key, PeerTime now);
  [[nodiscard]] bool begun() const { return group_ != nullptr; }
  // The next server, an index into UpstreamPlan::peers; kNone (config/model.h): none is left that
  // may be used now.
  uint32_t next(PeerTime now);

  enum class Outcome : uint8_t {
    kFailed,   // counts for max_fails
    kRefused,  // it answered with a status that fastcgi_next_upstream names, 403 or 404
  };
  enum class Verdict : uint8_t { kNothing, kDisabled };
  // The server next() chose has not served the request.  kDisabled: it is left out from now on, for
  // fail_timeout.
  Verdict end(Outcome outcome, PeerTime now);
  // The request is over, served or not wanted any more.
  void release();
  // Ready for another request.
  void forget() {
    release();
    group_.reset();
  }

  // Servers that may still be asked, the one in use included.
  [[nodiscard]] uint32_t tries_left() const { return tries_left_; }
  [[nodiscard]] PeerTime started() const { return started_; }
  void limit_tries(uint32_t most) { tries_left_ = most < tries_left_ ? most : tries_left_; }

 private:
  using Peer = PeerGroup::Peer;
  [[nodiscard]] std::vector<Peer>& peers() const;
  [[nodiscard]] bool was_tried(size_t at) const;
  [[nodiscard]] bool may_use(const Peer& peer, size_t at, PeerTime now) const;
  uint32_t take(Peer& peer, size_t at, PeerTime now);
  uint32_t choose(PeerTime now);
  uint32_t single();
  uint32_t round_robin(PeerTime now);
  uint32_t least_conn(PeerTime now);
  uint32_t random(PeerTime now);
  uint32_t random_two(PeerTime now);
  uint32_t by_address(PeerTime now);
  uint32_t by_key(PeerTime now);
  uint32_t by_circle(PeerTime now);
  bool count_miss() { return ++misses_ > kMissesMax; }
  size_t best_of_server(uint32_t server, PeerTime now);

  static constexpr uint32_t kMissesMax = 20;  // then round robin, as nginx
  static constexpr size_t kAt = SIZE_MAX;

  std::shared_ptr<PeerGroup> group_;
  std::string key_;
  PeerTime started_{};
  std::vector<uint64_t> tried_;  // a bit per server of peers()
  bool in_backup_ = false;       // peers() are the backups from now on
  size_t at_ = kAt;              // in peers(), the one in use
  uint32_t tries_left_ = 0;
  uint32_t misses_ = 0, rehash_ = 0, hash_ = 0;
};

// The groups of a loop, by generation of the configuration: a reload begins counting anew.
class PeerStates {
 public:
  std::shared_ptr<PeerGroup> group(const Plan& plan, uint32_t upstream);

 private:
  uint64_t generation_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<PeerGroup>> groups_;  // by generation and upstream
};

}  // namespace bulkhead::front
