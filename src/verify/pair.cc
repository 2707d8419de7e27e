#include "verify/pair.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "exec/client.h"
#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;

constexpr const char* kNoPrograms = "the attacking site runs no programs";

std::string lines_of(const std::map<std::string, std::string>& facts) {
  std::string out;
  for (const auto& [key, value] : facts) {
    if (!value.empty()) out += "fact " + key + " " + value + "\n";
  }
  return out;
}

Stage find_stage(std::string_view id) {
  for (auto table : {file_stages(), engine_stages(), system_stages(), http_stages()}) {
    for (const StageRow& row : table) {
      if (row.id == id) return row.run;
    }
  }
  return nullptr;
}

}  // namespace

std::string random_hex(size_t digits) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string bytes(digits, '\0');
  if (::getrandom(bytes.data(), digits, 0) != static_cast<ssize_t>(digits)) ::abort();
  for (char& c : bytes) c = kHex[static_cast<unsigned char>(c) & 15];
  return bytes;
}

bool Wanted::wants(const Probe& probe) const {
  return ids.empty() || std::find(ids.begin(), ids.end(), probe.id) != ids.end();
}

Pair::Pair(Server& s, Site& a, Site& v, Record& r)
    : server(s),
      attacker(a),
      victim(v),
      record(r),
      tag("bhv" + random_hex(12)),
      attacker_token_(random_hex(32)),
      victim_token_(random_hex(32)) {}

Pair::~Pair() {
  victim_process.end();
  machine_.end();
  // A live site is left as it was found at once.  What could not be removed stays in the record.
  (void)record.remove_planted();
}

const std::string& Pair::marker(const std::string& key) {
  std::string& value = evidence.markers[key];
  if (value.empty()) value = "BHVMARK" + random_hex(24);
  return value;
}

// A program of ours inside the site: through the server's own `exec`, or (a server that has no
// sandbox) as a plain process of the site's user, which is all that its workers are.
Result<Process> Pair::start_in(const Site& site, std::vector<std::string> arguments) {
  const std::string program = sys::program_directory() + "/bulkhead-probe";
  Process::How how;
  how.argv = {server.base.empty() ? program : server.base + "/bin/bulkhead-probe"};
  how.argv.insert(how.argv.end(), arguments.begin(), arguments.end());
  if (server.kind == ServerKind::kStock) {
    how.user = &site.user;
    return Process::start(how);
  }
  sys::Fd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno("cannot open " + program);
  how.pass = file;
  how.run = [&]() -> int {
    exec::ExecRequest request;
    request.socket = exec::socket_path(server.pid_file);
    request.site = site.name;
    request.argv = how.argv;
    request.program = file;
    request.terminal = exec::Terminal::kNever;
    auto status = exec::run_in_site(request);
    if (status) return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
    sys::write_all(sys::FdRef(1),
                   nlohmann::json{{"cannot", status.error().describe()}}.dump() + "\n");
    return 125;
  };
  return Process::start(how);
}

Status Pair::write_file(const Site& site, const std::string& path, const std::string& text,
                        int mode, bool old) {
  TRY_STATUS(record.note_file(site.user.name, path));
  return as_user(site.user, [&]() -> Status {
    ::unlink(path.c_str());
    ::umask(0);
    sys::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                        static_cast<mode_t>(mode)));
    if (!file.valid() || !sys::write_all(file, text)) return fail_errno("cannot write " + path);
    // opcache keeps no file younger than opcache.file_update_protection (2 s).
    timespec times[2]{{0, UTIME_NOW}, {::time(nullptr) - 60, 0}};
    if (old && ::futimens(file.get(), times) != 0) return fail_errno("cannot date " + path);
    return {};
  });
}

Status Pair::make_link(const Site& site, const std::string& target, const std::string& path) {
  TRY_STATUS(record.note_file(site.user.name, path));
  return as_user(site.user, [&]() -> Status {
    ::unlink(path.c_str());
    if (::symlink(target.c_str(), path.c_str()) != 0) return fail_errno("cannot make " + path);
    return {};
  });
}

Reply Pair::from_attacker(const std::string& target, const std::string& headers) const {
  return get(attacker.port, attacker.host, target, token_header(attacker_token_) + headers);
}
std::string Pair::attack_request(const std::string& target) const {
  return request_text(attacker.host, target, token_header(attacker_token_));
}
Reply Pair::from_victim(const std::string& target, const std::string& headers) const {
  return get(victim.port, victim.host, target, token_header(victim_token_) + headers);
}

std::string Pair::php_target(const std::string& id, const std::string& more) const {
  // The bare prefix of every marker, so that the script need not hold it as a literal.
  return "/" + tag + "-a.php?probe=" + percent(id) + "&prefix=BHVMARK&tag=" + tag +
         "&secret=" + percent(facts.at("secret")) + "&own_root=" + percent(attacker.root) + more;
}

Finding Pair::php(const std::string& id, const std::string& more) {
  if (!attacker.runs_php) return cannot("the attacking site runs no PHP");
  if (!no_script_.empty()) return cannot(no_script_);
  Reply reply = from_attacker(php_target(id, more));
  if (reply.status == 0) return cannot("the attacker's script was not answered");
  if (reply.status != 200) {
    return cannot("the attacker's script ended with status " + std::to_string(reply.status));
  }
  return parse_finding(reply.body);
}

std::string Pair::question(const std::string& what, const std::string& more) const {
  return "/" + tag + "-v.php?do=" + what + "&tag=" + tag +
         "&secret=" + percent(facts.at("secret")) + "&own_root=" + percent(victim.root) + more;
}

std::string Pair::ask_victim(const std::string& what, const std::string& more) {
  return from_victim(question(what, more)).body;
}

long Pair::check(const std::string& what) {
  if (!victim_process.send("check " + what + "\n")) return -1;
  auto line = victim_process.receive(5s);
  auto value = nlohmann::json::parse(line ? *line : "", nullptr, false);
  return value.is_object() && value.contains("value") ? value["value"].get<long>() : -1;
}

Result<Process> Pair::begin_native(const std::string& id, int seconds) {
  if (!attacker.runs_php) return fail(kNoPrograms);
  Process attack = TRY(start_in(attacker, {"attack"}));
  auto told = facts;
  told["seconds"] = std::to_string(seconds);
  if (!attack.send(lines_of(told) + "probe " + id + "\n"))
    return fail("the attacker ended at once");
  return attack;
}

Finding Pair::native(const std::string& id) {
  auto attack = begin_native(id);
  if (!attack) return cannot(attack.error().describe());
  auto line = attack->receive(25s);
  return line ? parse_finding(*line) : cannot("the attacker did not answer");
}

// One process for many probes; one that breaks it is answered for and the rest goes on.
void Pair::run_native(const std::vector<const Probe*>& wanted, const Tell& tell) {
  Result<Process> attack =
      attacker.runs_php ? start_in(attacker, {"attack"}) : Result<Process>(fail(kNoPrograms));
  if (attack) attack->send(lines_of(facts));
  for (const Probe* probe : wanted) {
    Finding finding = cannot("no program runs in the attacker's sandbox");
    if (attack && attack->send("probe " + std::string(probe->id) + "\n")) {
      auto line = attack->receive(25s);
      finding = line ? parse_finding(*line) : cannot("the attacker did not answer");
    } else if (!attack) {
      finding = cannot(attack.error().describe());
    }
    tell(judge(*probe, finding, evidence, server));
  }
}

void Pair::run_one(const Probe& probe, const Tell& tell) {
  if (probe.how == How::kPhp) {
    tell(judge(probe, php(std::string(probe.id)), evidence, server));
  } else if (Stage stage = find_stage(probe.id); stage != nullptr) {
    tell(judge(probe, stage(*this), evidence, server));
  } else {
    tell(judge(probe, cannot("no such stage"), evidence, server));
  }
}

void Pair::run(const Wanted& wanted, const Tell& tell) {
  std::vector<const Probe*> batch;
  std::map<std::string_view, Outcome> early;
  for (const Probe& probe : probes()) {
    if (wanted.wants(probe) && probe.how == How::kNative) batch.push_back(&probe);
  }
  // Evidence for the body probe lives only while a request is on its way.
  Connection upload(victim.port);
  upload.send("POST /" + tag + "-v.php?do=ping HTTP/1.1\r\nHost: " + victim.host +
              "\r\nContent-Type: text/plain\r\nContent-Length: 400000\r\n\r\n" + marker("body") +
              std::string(200'000, '.'));
  if (upload.is_open()) planted("body");
  if (!batch.empty()) {
    run_native(batch, [&](const Outcome& outcome) { early[outcome.probe->id] = outcome; });
  }
  upload.close();
  for (const Probe& probe : probes()) {
    if (!wanted.wants(probe)) continue;
    switch (probe.how) {
      case How::kNative:
        tell(early[probe.id]);
        break;
      case How::kPhp:
      case How::kStaged:
        run_one(probe, tell);
        break;
      case How::kLoad:
        tell(wanted.quick ? Outcome{&probe, Verdict::kNotRun, "", "--quick", 0, 0}
                          : run_load(*this, probe));
        break;
      case How::kNever:
        tell({&probe, Verdict::kNotRun, "", std::string(probe.note), 0, 0});
        break;
      case How::kLast:
        if (!server.is_own) {
          tell({&probe, Verdict::kNotRun, "", "would hurt a live site: use --new", 0, 0});
        }
        break;
    }
  }
}

}  // namespace bulkhead::verify
