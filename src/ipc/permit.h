// The one table of messages between processes: what may be said, by whom, when, how large, how
// often.  Anything outside it kills the sender.
//
// Runs in: every process (a receiver checks each datagram before it reads the payload).
// Input: headers from a less privileged process are hostile.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

#include "ipc/protocol.h"

namespace bulkhead::ipc {

// What the sender is doing, as its receiver knows it.
enum class Phase : uint8_t { kStarting, kServing, kStopping };
using RoleSet = uint8_t;
using PhaseSet = uint8_t;
constexpr RoleSet set_of(Role role) {
  return static_cast<RoleSet>(1u << static_cast<unsigned>(role));
}
constexpr PhaseSet set_of(Phase phase) {
  return static_cast<PhaseSet>(1u << static_cast<unsigned>(phase));
}

struct Rule {
  Op op;
  std::string_view name;
  RoleSet who;
  PhaseSet when;
  uint32_t bytes_min, bytes_max;
  uint32_t fds_min, fds_max;
  uint32_t per_second;  // 0: unlimited (messages downwards)
};
[[nodiscard]] std::span<const Rule> rules();
[[nodiscard]] const Rule* find_rule(uint16_t op);

enum class Verdict : uint8_t {
  kAllowed,
  kUnknown,  // no such operation
  kRole,     // not this sender's to ask
  kPhase,    // not now
  kSize,     // payload too short, too long, or not what the header says
  kFds,      // too few or too many descriptors
  kRate,     // too often
};
[[nodiscard]] std::string_view describe(Verdict verdict);

// One sender's standing with its receiver.
class Permit {
 public:
  explicit Permit(Role sender, Phase phase = Phase::kStarting) : sender_(sender), phase_(phase) {}
  void set_phase(Phase phase) { phase_ = phase; }
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] Role sender() const { return sender_; }
  // Judges one datagram: `header` as sent, `payload_bytes` and `fds` as received.
  Verdict check(const Header& header, size_t payload_bytes, size_t fds,
                std::chrono::steady_clock::time_point now);

 private:
  static constexpr size_t kRulesMax = 48;
  struct Bucket {
    std::chrono::steady_clock::time_point second{};
    uint32_t count = 0;
  };
  Role sender_;
  Phase phase_;
  Bucket buckets_[kRulesMax];
};

}  // namespace bulkhead::ipc
