#include "verify/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "sites/tree.h"
#include "sys/files.h"
#include "sys/process.h"
#include "verify/http.h"
#include "verify/process.h"

namespace bulkhead::verify {
namespace {

constexpr const char* kRecordName = "record";
constexpr size_t kRecordMax = 16 << 20;
constexpr int kDeleteRounds = 10;

Status run_tool(const std::vector<std::string>& argv) {
  Process::How how;
  how.argv = argv;
  how.output = "/dev/null";
  Process tool = TRY(Process::start(how));
  for (int i = 0; i < 4000 && tool.poll_exit() < 0; ++i) ::usleep(5000);
  if (tool.poll_exit() != 0) {
    return fail(argv[0] + " " + argv.back() + " failed with status " +
                std::to_string(tool.poll_exit()));
  }
  return {};
}

// userdel refuses while the user has a process, a dead one that nobody has collected included, and
// when another program keeps the account files locked.
Status delete_user(const std::string& name, uid_t uid) {
  Status result;
  for (int round = 0; round < kDeleteRounds; ++round) {
    end_processes_of(uid);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    result = run_tool({"/usr/sbin/userdel", name});
    if (result) break;
    ::usleep(200'000);
  }
  return result;
}

void end_process(pid_t pid, unsigned long long started) {
  if (start_time(pid) != started) return;  // the number belongs to somebody else now
  ::kill(pid, SIGTERM);
  for (int i = 0; i < 2000 && start_time(pid) == started; ++i) {
    ::waitpid(pid, nullptr, WNOHANG);
    ::usleep(5000);
    if (i == 1000) ::kill(pid, SIGKILL);
  }
}

// "request PORT HOST TOKEN TARGET".  Nobody may be there any more; then nothing is left to ask for.
void make_request(const std::string& line) {
  std::istringstream words(line);
  std::string kind, host, token, target;
  unsigned port = 0;
  words >> kind >> port >> host >> token >> target;
  (void)get(static_cast<uint16_t>(port), host, target, token_header(token));
}

// "file USER PATH"
Status remove_noted(const std::string& line) {
  std::istringstream words(line);
  std::string kind, user, path;
  words >> kind >> user;
  std::getline(words >> std::ws, path);
  auto who = sys::find_identity(user, "");
  if (!who) return {};  // the account is gone, and its directory is ours
  return as_user(*who, [&]() -> Status {
    if (::remove(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
    return fail_errno("cannot remove " + path);
  });
}

}  // namespace

void end_processes_of(uid_t uid) {
  for (int round = 0; round < 100; ++round) {
    bool found = false;
    DIR* proc = ::opendir("/proc");
    if (proc == nullptr) return;
    while (const dirent* entry = ::readdir(proc)) {
      pid_t pid = std::atoi(entry->d_name);
      struct stat facts {};
      if (pid <= 1 || ::fstatat(::dirfd(proc), entry->d_name, &facts, 0) != 0) continue;
      // A process that may not be dumped belongs to root in /proc; its status tells the truth.
      auto status = sys::read_file("/proc/" + std::string(entry->d_name) + "/status", 8192);
      if (!status) continue;
      size_t at = status->find("\nUid:\t");
      if (at == std::string::npos || std::strtoul(status->c_str() + at + 6, nullptr, 10) != uid) {
        continue;
      }
      if (status->find("\nState:\tZ") != std::string::npos) continue;
      ::kill(pid, SIGKILL);
      found = true;
    }
    ::closedir(proc);
    if (!found) return;
    ::usleep(10'000);
  }
}

Result<Record> Record::create() {
  if (::mkdir(kRunsDirectory, 0711) != 0 && errno != EEXIST) {
    return fail_errno(std::string("cannot make ") + kRunsDirectory);
  }
  std::string name = std::string(kRunsDirectory) + "/run-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return fail_errno("cannot make " + name);
  ::chmod(name.c_str(), 0711);  // sites live below it; what is in it has modes of its own
  Record record(name);
  TRY_STATUS(record.note("run " + std::to_string(::getpid()) + " " +
                         std::to_string(start_time(::getpid()))));
  return record;
}

std::string Record::path() const { return directory_ + "/" + kRecordName; }

Status Record::note(const std::string& line) {
  sys::Fd file(::open(path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file.valid() || !sys::write_all(file, line + "\n"))
    return fail_errno("cannot write " + path());
  return {};
}
Status Record::note_user(const std::string& name) { return note("user " + name); }
Status Record::note_process(pid_t pid) {
  return note("process " + std::to_string(pid) + " " + std::to_string(start_time(pid)));
}
Status Record::note_file(const std::string& user, const std::string& path) {
  return note("file " + user + " " + path);
}
Status Record::note_request(uint16_t port, const std::string& host, const std::string& token,
                            const std::string& target) {
  return note("request " + std::to_string(port) + " " + host + " " + token + " " + target);
}

Status Record::remove_planted() {
  auto text = sys::read_file(path(), kRecordMax);
  if (!text) return {};
  std::string rest;
  std::vector<std::string> files;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("request ")) {
      make_request(line);
    } else if (line.starts_with("file ")) {
      files.push_back(line);
    } else {
      rest += line + "\n";
    }
  }
  if (files.empty() && rest == *text) return {};
  Status result;
  for (auto line = files.rbegin(); line != files.rend(); ++line) {
    if (auto done = remove_noted(*line); !done) result = done;
  }
  // What could not be removed stays noted: the next run tries again.
  if (!result) return result;
  return sys::write_file_atomically(path(), rest, 0600);
}

Status Record::remove() {
  Status result = remove_planted();
  auto text = sys::read_file(path(), kRecordMax);
  std::vector<std::string> users;
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, first;
    words >> kind >> first;
    if (kind == "process") {
      unsigned long long started = 0;
      words >> started;
      end_process(std::atoi(first.c_str()), started);
    } else if (kind == "user") {
      users.push_back(first);
    }
  }
  for (const std::string& user : users) {
    auto uid = sys::find_uid(user);
    if (!uid) continue;
    if (auto done = delete_user(user, *uid); !done) result = done;
  }
  if (auto removed = sites::remove_tree(directory_); !removed) result = removed;
  ::rmdir(kRunsDirectory);  // when it was the last run
  return result;
}

Result<int> remove_leftovers() {
  DIR* runs = ::opendir(kRunsDirectory);
  if (runs == nullptr) return 0;
  std::vector<std::string> dead;
  while (const dirent* entry = ::readdir(runs)) {
    std::string name = entry->d_name;
    if (!name.starts_with("run-")) continue;
    const std::string directory = std::string(kRunsDirectory) + "/" + name;
    auto text = sys::read_file(directory + "/" + kRecordName, kRecordMax);
    pid_t pid = 0;
    unsigned long long started = 0;
    if (text && std::sscanf(text->c_str(), "run %d %llu", &pid, &started) == 2 &&
        start_time(pid) == started && started != 0) {
      continue;
    }
    dead.push_back(directory);
  }
  ::closedir(runs);
  for (const std::string& directory : dead) TRY_STATUS(Record(directory).remove());
  return static_cast<int>(dead.size());
}

}  // namespace bulkhead::verify
