// One ordered pair of sites under attack: the victim's evidence, the attacker's probes.
//
// Runs in: bulkhead-verify (root; whatever it does in a site's directory it does as that site).
// Input: answers of both sites (hostile).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "verify/http.h"
#include "verify/process.h"
#include "verify/record.h"
#include "verify/site.h"
#include "verify/verdict.h"

namespace bulkhead::verify {

// What the caller wants tried, and told.
struct Wanted {
  bool quick = false;            // leave group E's loads out
  std::vector<std::string> ids;  // empty: all
  [[nodiscard]] bool wants(const Probe& probe) const;
};
using Tell = std::function<void(const Outcome&)>;

class Pair {
 public:
  Pair(Server& server, Site& attacker, Site& victim, Record& record);
  ~Pair();
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Plants the evidence; what could not be planted is not sought.
  void prepare();
  // Everything but How::kLast.
  void run(const Wanted& wanted, const Tell& tell);
  // How::kLast, for servers of our own; `stop` stops the server.
  void run_last(const Wanted& wanted, const Tell& tell, const std::function<void()>& stop);

  // --- for staged probes ---
  Server& server;
  Site& attacker;
  Site& victim;
  Record& record;
  std::string tag;
  Evidence evidence;
  std::map<std::string, std::string> facts;  // what the attacker is told
  Process victim_process;

  // One native attack, in the attacker's sandbox.
  Finding native(const std::string& id);
  // The same, begun and answered later.
  Result<Process> begin_native(const std::string& id, int seconds = 3);
  // One attack in PHP; `more` is added to the query ("&a=b").
  Finding php(const std::string& id, const std::string& more = "");
  [[nodiscard]] std::string php_target(const std::string& id, const std::string& more = "") const;
  // A question to the victim's PHP; its answer as JSON text.
  std::string ask_victim(const std::string& question, const std::string& more = "");
  [[nodiscard]] std::string question(const std::string& what, const std::string& more = "") const;
  // A number that the victim's process answers ("signals", "lock"); -1: no answer.
  long check(const std::string& what);
  Reply from_attacker(const std::string& target, const std::string& headers = "") const;
  Reply from_victim(const std::string& target, const std::string& headers = "") const;
  // A request for the attacker's script that the script will answer, as text.
  [[nodiscard]] std::string attack_request(const std::string& target) const;
  // Writes a file as the site's user and notes it for removal.
  Status write_file(const Site& site, const std::string& path, const std::string& text, int mode,
                    bool old = false);
  Status make_link(const Site& site, const std::string& target, const std::string& path);
  // "MARKER" of an evidence key; new ones are made on demand.
  const std::string& marker(const std::string& key);
  void planted(const std::string& key) { evidence.planted.insert(key); }
  void missing(const std::string& key, const std::string& why) { evidence.missing[key] = why; }

 private:
  void plant_files();
  Status plant_open_directory(const std::string& path);
  void plant_scripts();
  void plant_process();
  void plant_php();
  void plant_server();
  void tell_facts();
  Result<Process> start_in(const Site& site, std::vector<std::string> arguments);
  void run_native(const std::vector<const Probe*>& wanted, const Tell& tell);
  void run_one(const Probe& probe, const Tell& tell);
  Process machine_;  // a service of the machine itself, as root
  std::string session_;
  // What makes a site's script answer; neither site ever learns the other's.
  std::string attacker_token_, victim_token_;
  std::string no_script_;  // why the attacker has no script; "" when it has
};

// Staged probes by id (staged_*.cc).
using Stage = Finding (*)(Pair&);
struct StageRow {
  std::string_view id;
  Stage run;
};
std::span<const StageRow> file_stages();
std::span<const StageRow> engine_stages();
std::span<const StageRow> system_stages();
std::span<const StageRow> http_stages();

// Group E (load.cc).
Outcome run_load(Pair& pair, const Probe& probe);

// Random lower-case hex digits.
std::string random_hex(size_t digits);

}  // namespace bulkhead::verify
