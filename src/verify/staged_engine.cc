// Group B, where the victim's side must be looked at too: opcache, its lock and memory, APCu.
//
// Runs in: bulkhead-verify.
#include <chrono>
#include <nlohmann/json.hpp>

#include "verify/pair.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

json ask(Pair& pair, const std::string& question, const std::string& more = "") {
  return json::parse(pair.ask_victim(question, more), nullptr, false);
}
bool holds(const json& answer, const char* key) {
  return answer.is_object() && answer.contains(key) && answer[key].is_boolean() &&
         answer[key].get<bool>();
}

// Begins an attack in PHP and leaves it running.
class Running {
 public:
  Running(Pair& pair, const std::string& id) : connection_(pair.attacker.port) {
    connection_.send(pair.attack_request(pair.php_target(id)));
  }
  Finding finding() {
    Reply reply = parse_reply(connection_.receive_all(20s));
    return reply.status == 200
               ? parse_finding(reply.body)
               : cannot("the attacker's script ended with status " + std::to_string(reply.status));
  }

 private:
  Connection connection_;
};

constexpr const char* kNoPhp = "the attacking site runs no PHP";
constexpr const char* kNoCache = "opcache does not hold the victim's script";

Finding patch(Pair& pair) {
  if (!pair.attacker.runs_php) return cannot(kNoPhp);
  if (!holds(ask(pair, "warm"), "cached")) return cannot(kNoCache);
  Running attack(pair, "B3");
  std::string seen;
  for (auto until = Clock::now() + 1300ms; Clock::now() < until && seen.empty();) {
    auto answer = ask(pair, "warm");
    if (!answer.is_object()) continue;
    std::string value = answer.value("value", "");
    if (value != pair.marker("secret")) seen = value;
  }
  Finding finding = attack.finding();
  if (!finding.cannot.empty()) return finding;
  finding.done = !seen.empty();
  if (finding.done) finding.got = "the victim's own script now says " + seen.substr(0, 40);
  return finding;
}

Finding drop(Pair& pair) {
  if (!holds(ask(pair, "warm"), "cached")) return cannot(kNoCache);
  Finding finding = pair.php("B4b");
  if (!finding.cannot.empty()) return finding;
  bool dropped = !holds(ask(pair, "cached"), "cached");
  if (dropped) return obtained("the victim's script is no longer cached");
  return refused("drop it: the victim's cache still holds it", finding.error);
}

Finding hold_lock(Pair& pair) {
  if (!pair.attacker.runs_php) return cannot(kNoPhp);
  Running attack(pair, "B7");
  ::usleep(300'000);
  auto begin = Clock::now();
  auto answer = ask(pair, "compile");
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  Finding finding = attack.finding();
  if (!finding.cannot.empty()) return finding;
  if (!answer.is_object()) return cannot("the victim did not answer");
  if (took > 1200ms) {
    return obtained("the victim waited " + std::to_string(took.count()) + " ms for the lock");
  }
  return refused((finding.done ? finding.got : finding.step) + "; the victim took " +
                 std::to_string(took.count()) + " ms");
}

Finding fill(Pair& pair) {
  auto before = ask(pair, "free");
  if (!before.is_object() || !before["free"].is_number()) return cannot("opcache is off there");
  Finding finding = pair.php("B8");
  if (!finding.cannot.empty()) return finding;
  auto after = ask(pair, "free");
  if (!after.is_object() || !after["free"].is_number()) return cannot("the victim did not answer");
  long lost = before["free"].get<long>() - after["free"].get<long>();
  constexpr long kNoticeable = 1 << 20;
  if (lost > kNoticeable) {
    return obtained("the victim's cache lost " + std::to_string(lost >> 10) + " KiB");
  }
  return refused("take memory from the victim's cache");
}

Finding apcu(Pair& pair) {
  if (!holds(ask(pair, "apcu", "&marker=" + pair.marker("apcu")), "stored")) {
    return cannot("APCu is not installed");
  }
  pair.planted("apcu");
  return pair.php("B9");
}

Finding traces(Pair& pair) {
  Finding finding = pair.php("B12");
  if (!finding.done) return finding;
  for (int i = 0; i < 12; ++i) {
    auto answer = ask(pair, "traces");
    if (answer.is_object() && answer.value("traces", "").find(pair.tag) != std::string::npos) {
      return obtained("the victim's worker still has what the attacker set");
    }
  }
  return refused("be found in a worker of the victim");
}

constexpr StageRow kRows[] = {{"B3", patch}, {"B4b", drop}, {"B7", hold_lock},
                              {"B8", fill},  {"B9", apcu},  {"B12", traces}};

}  // namespace

std::span<const StageRow> engine_stages() { return kRows; }

}  // namespace bulkhead::verify
