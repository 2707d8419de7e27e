// Plants the evidence of a pair: files, a process, sessions and scripts of the victim, and what the
// server itself keeps.  Each piece is seen from the victim's own side before it counts.
//
// Runs in: bulkhead-verify (root).
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sys/files.h"
#include "sys/process.h"
#include "verify/embedded.h"
#include "verify/pair.h"
#include "verify/report.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// What a victim's process can hold.
constexpr const char* kOfProcess[] = {
    "tmp", "var_tmp", "dev_shm", "memory",   "cmdline",     "environ", "fd",   "shm",
    "msg", "sem",     "mq",      "abstract", "path_socket", "signal",  "bait", "squat"};

// Whether the end of a log says `text`.  The log may lie in a directory of the site, who may have
// put anything in its place: a pipe must not make us wait.
bool log_holds(const std::string& path, const std::string& text) {
  constexpr off_t kEnd = 1 << 20;
  sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  std::string end(static_cast<size_t>(std::min(st.st_size, kEnd)), '\0');
  ssize_t n =
      ::pread(fd.get(), end.data(), end.size(), st.st_size - static_cast<off_t>(end.size()));
  return n > 0 && end.find(text) != std::string::npos;
}

// The pid a process has for the machine: by an argument that nobody else has.
std::string find_process(const std::string& argument, uid_t uid) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name[0] < '1' || name[0] > '9') continue;
    auto status = sys::read_file("/proc/" + name + "/status", 8192);
    auto line = sys::read_file("/proc/" + name + "/cmdline", 65536);
    if (!status || !line || line->find(argument) == std::string::npos) continue;
    size_t at = status->find("\nUid:\t");
    if (at != std::string::npos && std::stoul(status->substr(at + 6)) == uid) return name;
  }
  return "";
}

}  // namespace

void Pair::prepare() {
  facts["tag"] = tag;
  facts["own_root"] = attacker.root;
  facts["base"] = std::filesystem::path(victim.root).parent_path();
  plant_files();
  plant_scripts();
  if (victim.runs_php) {
    plant_process();
  } else {
    for (const char* key : kOfProcess) missing(key, "the victim is a site without programs");
  }
  plant_server();
  if (victim.runs_php) plant_php();
}

// A site may be unable to write in its own web root; then no file of it can be sought.
void Pair::plant_files() {
  const std::string stem = victim.root + "/" + tag;
  facts["secret"] = stem + "-secret.php";
  facts["public"] = stem + "-config.inc";
  facts["planted"] = stem + "-open/by-" + attacker.user.name;
  auto plant = [&](const char* key, Status done) {
    if (done) {
      planted(key);
    } else {
      missing(key, done.error().describe());
    }
  };
  plant("secret", write_file(victim, facts["secret"],
                             "<?php\n$bhv_secret = '" + marker("secret") + "';\n", 0400, true));
  plant("public", write_file(victim, facts["public"], marker("public") + "\n", 0644));
  plant("run", evidence.planted.contains("public") ? Status() : fail(evidence.missing["public"]));
  plant("tag", plant_open_directory(stem + "-open"));
  evidence.markers["dirname"] = std::filesystem::path(victim.root).filename();
  evidence.markers["root"] = victim.root;
  evidence.markers["user"] = victim.user.name;
  evidence.markers["tag"] = tag + "-listed";
  evidence.markers["run"] = "BHVRUN" + random_hex(24);
  planted("user");
  for (const char* key : {"dirname", "root"}) {
    if (victim.root_is_said) {
      planted(key);
    } else {
      missing(key, "its root is the one that nginx has for who names none: every site sees it");
    }
  }
}

Status Pair::plant_open_directory(const std::string& path) {
  TRY_STATUS(record.note_file(victim.user.name, path));
  TRY_STATUS(record.note_file(victim.user.name, facts["planted"]));
  TRY_STATUS(as_user(victim.user, [&]() -> Status {
    if (::mkdir(path.c_str(), 0777) != 0) return fail_errno("mkdir " + path);
    ::chmod(path.c_str(), 0777);
    return {};
  }));
  return write_file(victim, path + "/" + tag + "-listed", "", 0644);
}

// Each answers only to the word that is in it; so only its own user may read it.
void Pair::plant_scripts() {
  auto with = [](std::string_view script, const std::string& token) {
    std::string text(script);
    constexpr std::string_view kPlace = "@TOKEN@";
    return text.replace(text.find(kPlace), kPlace.size(), token);
  };
  facts["victim_script"] = victim.root + "/" + tag + "-v.php";
  if (victim.runs_php) {
    auto done =
        write_file(victim, facts["victim_script"], with(victim_php(), victim_token_), 0400, true);
    if (!done) missing("secret", done.error().describe());
  }
  if (attacker.runs_php) {
    auto done = write_file(attacker, attacker.root + "/" + tag + "-a.php",
                           with(attacker_php(), attacker_token_), 0400, true);
    if (!done) no_script_ = done.error().describe();
  }
}

// The victim's own process; what it could plant, it says.
void Pair::plant_process() {
  const std::string key = std::to_string(0x42000000 + (std::stoul(random_hex(6), nullptr, 16)));
  facts["ipc_key"] = key;
  auto started = start_in(victim, {"victim", marker("cmdline"), marker("environ")});
  evidence.markers["sem"] =
      "semaphore=" + std::to_string(1 + std::stoul(random_hex(3), nullptr, 16)) + ".";
  std::string text = "fact tag " + tag + "\nfact ipc_key " + key + "\nfact own_root " +
                     victim.root + "\nfact public " + facts["public"] + "\n";
  for (const char* k : kOfProcess) text += "fact marker." + std::string(k) + " " + marker(k) + "\n";
  std::string why = "no program runs in the victim's sandbox";
  std::optional<std::string> line;
  if (started) {
    victim_process = std::move(*started);
    victim_process.send(text + "end\n");
    line = victim_process.receive(10s);
  } else {
    why = started.error().describe();
  }
  auto report = json::parse(line ? *line : "", nullptr, false);
  if (report.is_object() && report.contains("cannot")) why = report["cannot"];
  for (const char* k : kOfProcess) missing(k, why);
  if (!report.is_object() || !report.contains("planted")) return;
  for (const auto& k : report["planted"]) planted(k);
  for (const auto& [k, reason] : report["failed"].items()) missing(k, reason);
  for (const auto& [k, place] : report["places"].items()) facts[k] = place;
  planted("bait");
  planted("squat");
  evidence.markers["ipc_key"] = key;
  if (evidence.planted.contains("shm")) planted("ipc_key");
  evidence.markers["abstract_name"] = "@" + tag;
  if (evidence.planted.contains("abstract")) planted("abstract_name");
  facts["abstract"] = tag;
  facts["victim_pid"] = find_process(marker("cmdline"), victim.user.uid);
  if (facts["victim_pid"].empty()) facts["victim_pid"] = std::to_string(report["pid"].get<int>());
}

void Pair::plant_php() {
  auto warm = json::parse(ask_victim("warm"), nullptr, false);
  bool cached = warm.is_object() && warm.value("value", "") == marker("secret");
  if (!cached) missing("secret", "the victim's script does not answer");
  evidence.markers["path"] = facts["secret"];
  if (cached && warm.value("cached", false)) {
    planted("path");
  } else {
    missing("path", "opcache does not hold the victim's script");
  }
  session_ = "bhv" + random_hex(29);
  for (const std::string& target :
       {question("session_end", "&id=" + session_), question("apcu_end")}) {
    if (!record.note_request(victim.port, victim.host, victim_token_, target)) return;
  }
  auto session =
      json::parse(ask_victim("session", "&id=" + session_ + "&marker=" + marker("session_data")),
                  nullptr, false);
  evidence.markers["session"] = session_;
  if (session.is_object() && session.value("started", false)) {
    facts["session_dir"] = session.value("dir", "");
    facts["session_file"] = session.value("file", "");
    // Stock's lies in the machine's own directory, and may be past asking when the attacks are
    // over.
    const std::string& file = facts["session_file"];
    if (server.kind == ServerKind::kStock && file.ends_with("/sess_" + session_) &&
        plain(file) == file) {
      (void)record.note_file(victim.user.name, file);
    }
    evidence.markers["inode"] = "inode=" + std::to_string(session.value("inode", 0L)) + ".";
    for (const char* key : {"session", "session_data", "inode"}) planted(key);
  } else {
    for (const char* key : {"session", "session_data", "inode"}) {
      missing(key, "the victim's PHP makes no session in a file");
    }
  }
}

// What the server and the machine keep: logs, configuration, sockets, keys, root's files.
void Pair::plant_server() {
  facts["pool_socket"] = victim.pool_socket;
  facts["server_config"] = server.config;
  facts["control"] = server.control;
  facts["log"] = victim.access_log;
  for (pid_t pid : server.masters) facts["server_pids"] += std::to_string(pid) + " ";
  for (const std::string& dir : server.temp_dirs) facts["temp_dirs"] += dir + " ";
  from_victim("/" + tag + "-config.inc?" + marker("log"));
  for (int i = 0; i < 40; ++i) {
    if (log_holds(victim.access_log, marker("log"))) {
      planted("log");
      break;
    }
    ::usleep(25'000);
  }
  missing("log", victim.access_log.empty() ? "the victim has no access log"
                                           : "the request did not show in " + victim.access_log);
  missing("machine", "only on servers of verify's own");
  missing("key", "only on servers of verify's own");
  missing("root_only", "only on servers of verify's own");
  if (!server.is_own) return;

  Process::How how;
  how.argv = {server.base + "/bin/bulkhead-probe", "victim", marker("machine")};
  if (auto started = Process::start(how)) {
    machine_ = std::move(*started);
    machine_.send("fact tag " + tag + "m\nfact own_root " + server.base + "/etc\nfact socket_dir " +
                  server.base + "/run\nfact marker.path_socket " + marker("machine") + "\nend\n");
    auto line = machine_.receive(5s);
    if (line && line->find("\"path_socket\"") != std::string::npos) planted("machine");
    facts["machine_socket"] = server.base + "/run/" + tag + "m.sock";
  }
  facts["setuid_program"] = attacker.root + "/setuid-probe";
  facts["root_only"] = attacker.root + "/root-only";
  auto text = sys::read_file(facts["root_only"]);
  if (text) {
    evidence.markers["root_only"] = *text;
    planted("root_only");
  }
  facts["key_name"] = server.key_name;
  char bytes[128];
  long key = ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
                       server.key_name.c_str(), 0);
  long n = key < 0 ? -1 : ::syscall(SYS_keyctl, KEYCTL_READ, key, bytes, sizeof bytes);
  if (n > 0) {
    evidence.markers["key"] = std::string(bytes, static_cast<size_t>(n));
    planted("key");
  }
}

}  // namespace bulkhead::verify
