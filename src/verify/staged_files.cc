// Group A, where the web server is the one to be tricked, or several act in turn.
//
// Runs in: bulkhead-verify.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/files.h"
#include "sys/process.h"
#include "verify/pair.h"

namespace bulkhead::verify {
namespace {

// What a reply says of a request that should be refused: all its bytes, and where it ended.
Finding fetched(const Reply& reply, const std::string& what) {
  if (reply.status == 0) return cannot("no answer to " + what);
  Finding finding = refused(what + " gave status " + std::to_string(reply.status));
  finding.got = reply.body;
  return finding;
}

Finding leave_file(Pair& pair) {
  Finding finding = pair.native("A1c");
  // Seen from outside: the attacker's word alone proves nothing.
  if (finding.done && ::access(pair.facts["planted"].c_str(), F_OK) == 0) return finding;
  if (!finding.cannot.empty()) return finding;
  return refused(finding.step, finding.error == 0 ? ENOENT : finding.error);
}

Finding through_link(Pair& pair, const std::string& target, const std::string& name,
                     const std::string& uri) {
  const std::string link = pair.attacker.root + "/" + name;
  if (auto made = pair.make_link(pair.attacker, target, link); !made) {
    return cannot(made.error().describe());
  }
  Finding finding = fetched(pair.from_attacker(uri), "GET " + uri);
  (void)as_user(pair.attacker.user, [&]() -> Status {
    ::unlink(link.c_str());
    return {};
  });
  return finding;
}

Finding link_to_file(Pair& pair) {
  const std::string name = pair.tag + "-l.txt";
  return through_link(pair, pair.facts["secret"], name, "/" + name);
}
Finding link_to_directory(Pair& pair) {
  const std::string name = pair.tag + "-d";
  return through_link(pair, pair.victim.root, name, "/" + name + "/" + pair.tag + "-config.inc");
}
Finding link_listed(Pair& pair) {
  const std::string name = pair.tag + "-d";
  return through_link(pair, pair.victim.root + "/" + pair.tag + "-open", name, "/" + name + "/");
}

// Swaps NAME between a file and a link for two seconds, as the attacker.
Finding race(Pair& pair) {
  const std::string dir = pair.attacker.root + "/" + pair.tag;
  for (const char* end : {"-f", "-s", "-race.txt"}) {
    if (!pair.record.note_file(pair.attacker.user.name, dir + end)) return cannot("no record");
  }
  pid_t pid = ::fork();
  if (pid < 0) return cannot("fork failed");
  if (pid == 0) {
    ::setpgid(0, 0);
    if (!sys::become(pair.attacker.user)) ::_exit(1);
    const std::string file = dir + "-f", link = dir + "-s", name = dir + "-race.txt";
    for (time_t until = ::time(nullptr) + 3; ::time(nullptr) < until;) {
      ::close(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
      ::rename(file.c_str(), name.c_str());
      if (::symlink(pair.facts["secret"].c_str(), link.c_str()) != 0) continue;
      ::rename(link.c_str(), name.c_str());
    }
    for (const std::string& path : {file, link, name}) ::unlink(path.c_str());
    ::_exit(0);
  }
  Finding finding = refused("win the race in 2000 requests", ELOOP);
  int tries = 0;
  for (int status = 0; ::waitpid(pid, &status, WNOHANG) == 0; ++tries) {
    Reply reply = pair.from_attacker("/" + pair.tag + "-race.txt");
    if (reply.body.find(pair.marker("secret")) != std::string::npos) finding.got = reply.body;
  }
  finding.step = "win the race in " + std::to_string(tries) + " requests";
  return finding;
}

Finding magic_links(Pair& pair) {
  Finding last = refused("find a link of /proc that is served");
  std::string all;
  for (const std::string& target :
       {"/proc/self/root" + pair.facts["secret"], "/proc/1/root" + pair.facts["secret"],
        "/proc/self/cwd" + pair.facts["secret"],
        "/proc/" + pair.facts["victim_pid"] + "/root" + pair.facts["secret"],
        "/proc/" + pair.facts["victim_pid"] + "/fd/" + pair.facts["victim_fd"]}) {
    last = through_link(pair, target, pair.tag + "-m.txt", "/" + pair.tag + "-m.txt");
    all += last.got;
  }
  last.got = all;
  return last;
}

Finding leave_root(Pair& pair) {
  const std::string secret = pair.facts["secret"].substr(1);
  const std::string sibling = pair.facts["secret"].substr(pair.facts["base"].size() + 1);
  std::string up, encoded;
  for (int i = 0; i < 12; ++i) {
    up += "../";
    encoded += "..%2f";
  }
  Finding last;
  std::string all;
  for (const std::string& target :
       {"/" + up + secret, "/" + encoded + secret, "//" + secret, "/../" + sibling,
        "/x/../../" + sibling, "/..%2f" + sibling, "/%2e%2e/" + sibling, "/..;/" + sibling,
        "/.%00./" + sibling, "/....//" + sibling, "/..%5c" + sibling, "/..%c0%af" + sibling,
        "/" + up + secret + "%00.txt", "/%2f" + secret}) {
    last = fetched(pair.from_attacker(target), "GET " + target.substr(0, 40));
    all += last.got;
  }
  last.got = all;
  return last;
}

// A picture that is also PHP, in the victim's uploads; anybody asks for it.
Finding run_upload(Pair& pair) {
  const std::string marker = pair.evidence.markers["run"];
  const std::string path = pair.victim.root + "/" + pair.tag + ".jpg";
  const std::string code =
      "GIF89a<?php echo strrev('" + std::string(marker.rbegin(), marker.rend()) + "');";
  if (auto made = pair.write_file(pair.victim, path, code, 0644); !made) {
    return cannot(made.error().describe());
  }
  std::string all;
  Finding last;
  const std::string name = "/" + pair.tag + ".jpg";
  for (const std::string& target :
       {name + "/x.php", name + "%00.php", name + "%20.php", name + "/.php", name + "%0a.php",
        name + ";.php", "/index.php" + name, name + "?x.php", "//" + name + "//x.php"}) {
    last = fetched(pair.from_victim(target), "GET " + target);
    all += last.got;
  }
  last.got = all;
  return last;
}

Finding nearly_php(Pair& pair) {
  if (!pair.victim.runs_php) return cannot("the victim runs no PHP");
  std::string all;
  Finding last;
  const std::string name = "/" + pair.tag + "-secret.php";
  for (const char* end : {"%20", ".", "%2e", "/", "%00", "%00.txt", "::$DATA", "~", "%0a", ";",
                          "%23", "\\", "/.", "%2f", "%3f", "%ff"}) {
    last = fetched(pair.from_victim(name + end), "GET ...-secret.php" + std::string(end));
    all += last.got;
  }
  last.got = all;
  return last;
}

Finding catch_temporary(Pair& pair) {
  Finding finding = pair.native("A9g");
  if (!finding.done) return finding;
  pair.check("write");
  Finding caught = pair.native("A9g+");
  if (caught.got.empty() && caught.error == 0) caught = refused("be written into by the neighbour");
  caught.done = false;
  return caught;
}

// The attacker's log directory is his own; root reopens the log in it.
Finding swap_log(Pair& pair) {
  if (!pair.server.is_own) return cannot("would reopen the logs of a live server: use --new");
  const std::string target = pair.server.base + "/etc/only-root-writes";
  const std::string log = pair.attacker.access_log;
  const std::string mark = pair.marker("logged");
  sys::Fd made(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  auto swapped = as_user(pair.attacker.user, [&]() -> Status {
    if (::rename(log.c_str(), (log + ".old").c_str()) != 0) return fail_errno("rename " + log);
    if (::symlink(target.c_str(), log.c_str()) != 0) return fail_errno("symlink " + log);
    return {};
  });
  if (!swapped) return cannot(swapped.error().describe());
  auto reopen = [&] {
    for (pid_t pid : pair.server.masters) ::kill(pid, SIGUSR1);
    ::usleep(400'000);
  };
  reopen();
  pair.from_attacker("/" + mark);
  ::usleep(200'000);
  auto text = sys::read_file(target);
  (void)as_user(pair.attacker.user, [&]() -> Status {
    ::unlink(log.c_str());
    return {};
  });
  reopen();
  if (text && text->find(mark) != std::string::npos) {
    return obtained("root wrote the attacker's request line into " + target);
  }
  return refused("have root follow the link at a reopen", ELOOP);
}

Finding accel_redirect(Pair& pair) {
  if (!pair.attacker.runs_php) return cannot("the attacking site runs no PHP");
  std::string all;
  Finding last;
  const std::string leaf = "/" + pair.tag + "-config.inc";
  const std::string sibling = pair.evidence.markers["dirname"] + leaf;
  for (const std::string& to : {leaf, "/../" + sibling, "/..%2f" + sibling, pair.facts["public"],
                                "//" + pair.victim.host + leaf, "/x/../../" + sibling}) {
    Reply reply = pair.from_attacker("/" + pair.tag + "-a.php?redirect=" + percent(to));
    last = fetched(reply, "X-Accel-Redirect: " + to);
    all += last.got;
  }
  last.got = all;
  return last;
}

constexpr StageRow kRows[] = {
    {"A1c", leave_file},      {"A3", link_to_file}, {"A3b", link_to_directory},
    {"A3c", link_listed},     {"A4", race},         {"A5b", magic_links},
    {"A6", leave_root},       {"A7", run_upload},   {"A8", nearly_php},
    {"A9g", catch_temporary}, {"A11", swap_log},    {"A14", accel_redirect},
};

}  // namespace

std::span<const StageRow> file_stages() { return kRows; }

}  // namespace bulkhead::verify
