// Signals, squatted names, locks; and the probes after which the attacker's site is not the same.
//
// Runs in: bulkhead-verify.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sys/files.h"
#include "verify/pair.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;

// The victim counts the signals that arrive.
Finding signalled(Pair& pair, const std::string& id) {
  if (!pair.evidence.planted.contains("signal")) return cannot(pair.evidence.missing["signal"]);
  long before = pair.check("signals");
  Finding finding = pair.native(id);
  ::usleep(50'000);
  long after = pair.check("signals");
  if (!finding.cannot.empty()) return finding;
  if (before < 0 || after < 0) return cannot("the victim's process does not answer");
  if (after > before) return obtained("the victim received the signal");
  return refused(finding.done ? "reach the victim with kill(-1)" : finding.step,
                 finding.done ? ESRCH : finding.error);
}
Finding signal_one(Pair& pair) { return signalled(pair, "D3"); }
Finding signal_all(Pair& pair) { return signalled(pair, "D3b"); }

Finding squat(Pair& pair) {
  auto attack = pair.begin_native("C8");
  if (!attack) return cannot(attack.error().describe());
  ::usleep(400'000);
  pair.check("squat");
  auto line = attack->receive(10s);
  return line ? parse_finding(*line) : cannot("the attacker did not answer");
}

Finding lock(Pair& pair) {
  auto attack = pair.begin_native("E12");
  if (!attack) return cannot(attack.error().describe());
  ::usleep(500'000);
  long locked = pair.check("lock");
  auto line = attack->receive(10s);
  Finding finding = line ? parse_finding(*line) : cannot("the attacker did not answer");
  if (!finding.cannot.empty()) return finding;
  if (locked < 0) return cannot("the victim's process does not answer");
  if (locked == 1) return obtained("the victim cannot lock his own file");
  return refused(finding.step, finding.error);
}

// After an attack on the attacker's own channels: the victim must not have noticed.
Finding after_noise(Pair& pair, const std::string& id) {
  std::vector<unsigned long long> before;
  for (pid_t pid : pair.server.masters) before.push_back(start_time(pid));
  for (int round = 0; round < 3; ++round) {
    Connection attack(pair.attacker.port);
    attack.send(pair.attack_request(pair.php_target(id)));
    (void)attack.receive_all(2s);
    for (int i = 0; i < 20; ++i) {
      std::string answer = pair.ask_victim("warm");
      auto value = nlohmann::json::parse(answer, nullptr, false);
      if (!value.is_object() || value.value("value", "") != pair.marker("secret")) {
        return obtained("the victim's answer became \"" + answer.substr(0, 60) + "\"");
      }
    }
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (start_time(pair.server.masters[i]) != before[i]) {
      return obtained("the server's process " + std::to_string(pair.server.masters[i]) + " died");
    }
  }
  return refused("be noticed by the victim in 60 requests");
}
Finding noise_on_channels(Pair& pair) { return after_noise(pair, "D6"); }
Finding noise_in_memory(Pair& pair) { return after_noise(pair, "D5"); }

// A process that is dead and not yet collected by its parent is not running.
bool is_dead(const std::string& pid) {
  auto text = sys::read_file("/proc/" + pid + "/stat", 512);
  const size_t name_end = text ? text->rfind(") ") : std::string::npos;
  return name_end == std::string::npos || text->find_first_of("ZX", name_end + 2) == name_end + 2;
}

bool is_running(const std::string& name) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid[0] < '1' || pid[0] > '9') continue;
    auto text = sys::read_file("/proc/" + pid + "/comm", 64);
    if (text && text->starts_with(name.substr(0, 15)) && !is_dead(pid)) return true;
  }
  return false;
}

// Whether the process is still there after the time that a busy machine needs to end it.
bool keeps_running(const std::string& name) {
  for (int i = 0; i < 30; ++i) {
    if (!is_running(name)) return false;
    ::usleep(100'000);
  }
  return true;
}

constexpr StageRow kRows[] = {{"C8", squat}, {"D3", signal_one},        {"D3b", signal_all},
                              {"E12", lock}, {"D6", noise_on_channels}, {"D5", noise_in_memory}};

}  // namespace

std::span<const StageRow> system_stages() { return kRows; }

void Pair::run_last(const Wanted& wanted, const Tell& tell, const std::function<void()>& stop) {
  auto run = [&](const char* id, const std::function<Finding()>& work) {
    const Probe* probe = find_probe(id);
    if (wanted.wants(*probe)) tell(judge(*probe, work(), evidence, server));
  };
  // The process that is to outlive the site is left behind before the site is broken.
  const Probe* outlive = find_probe("D11");
  Finding begun;
  if (wanted.wants(*outlive)) begun = php("D11");
  ::usleep(300'000);  // two forks later it has its name
  bool came_up = begun.done && is_running(tag);
  run("D6", [&] { return noise_on_channels(*this); });
  run("D5", [&] { return noise_in_memory(*this); });
  run("D11", [&]() -> Finding {
    if (!begun.done) return begun;
    if (!came_up) return cannot("the background process did not come up");
    // A clean end of verify's own helpers must not be mistaken for the site's.
    victim_process.end();
    // Asked for while somebody answers: sessions of a stock server lie outside our directory.
    (void)record.remove_planted();
    stop();
    if (keeps_running(tag)) return obtained("a process still runs after the server was stopped");
    return refused("outlive the site", ESRCH);
  });
}

}  // namespace bulkhead::verify
