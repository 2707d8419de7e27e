// Group E: takes as much of the machine as it gets, for a few seconds.  Bounded in time and size,
// so that a machine without any limit survives it; everything is gone when the process ends.
//
// Runs in: bulkhead-probe, as the attacking site.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <vector>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

constexpr size_t kProcessesMax = 400;
constexpr size_t kMemoryMax = size_t{512} << 20;
constexpr size_t kDiskMax = size_t{256} << 20;
constexpr size_t kFilesMax = 20'000;
constexpr size_t kDescriptorsMax = 20'000;

class Until {
 public:
  explicit Until(const Facts& f) { end_ = ::time(nullptr) + std::max(1L, f.number("seconds")); }
  [[nodiscard]] bool over() const { return ::time(nullptr) >= end_; }
  void wait() const {
    timespec pause{0, 50'000'000};
    while (!over()) ::nanosleep(&pause, nullptr);
  }

 private:
  time_t end_;
};

Finding fork_bomb(const Facts& f) {
  Until until(f);
  std::vector<pid_t> children;
  int error = 0;
  while (!until.over() && children.size() < kProcessesMax) {
    pid_t pid = ::fork();
    if (pid < 0) {
      error = errno;
      break;
    }
    if (pid == 0) {
      while (!until.over()) {
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  until.wait();
  for (pid_t pid : children) ::kill(pid, SIGKILL);
  while (::wait(nullptr) > 0) {
  }
  Finding done = obtained(std::to_string(children.size()) + " processes");
  done.error = error;
  return done;
}

Finding memory(const Facts& f) {
  Until until(f);
  size_t taken = 0;
  constexpr size_t kStep = size_t{8} << 20;
  while (!until.over() && taken < kMemoryMax) {
    void* at = ::mmap(nullptr, kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) break;
    std::memset(at, 1, kStep);
    taken += kStep;
  }
  until.wait();
  return obtained(std::to_string(taken >> 20) + " MiB");
}

Finding spin(const Facts& f) {
  Until until(f);
  for (int i = 0; i < 8; ++i) {
    if (::fork() == 0) {
      while (!until.over()) {
      }
      ::_exit(0);
    }
  }
  while (::wait(nullptr) > 0) {
  }
  return obtained("8 processes without a pause");
}

Finding fill_disk(const Facts& f) {
  Until until(f);
  const std::string path = "/tmp/" + f["tag"] + ".fill";
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refused("create " + path);
  ::unlink(path.c_str());
  std::vector<char> block(1 << 20, 'x');
  size_t written = 0;
  int error = 0;
  while (!until.over() && written < kDiskMax) {
    if (::write(fd, block.data(), block.size()) < 0) {
      error = errno;
      break;
    }
    written += block.size();
  }
  size_t files = 0;
  for (; !until.over() && files < kFilesMax; ++files) {
    const std::string one = path + std::to_string(files);
    int made = ::open(one.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0) break;
    ::close(made);
  }
  for (size_t i = 0; i < files; ++i) ::unlink((path + std::to_string(i)).c_str());
  ::close(fd);
  Finding done =
      obtained(std::to_string(written >> 20) + " MiB and " + std::to_string(files) + " files");
  done.error = error;
  return done;
}

// Descriptors, inotify watches, epoll instances and pipes, each until it is refused.
Finding descriptors(const Facts& f) {
  Until until(f);
  size_t processes = 0, held = 0, watches = 0;
  int ends[2];
  if (::pipe(ends) != 0) return refused("pipe");
  for (; processes < 8 && held < kDescriptorsMax; ++processes) {
    if (::fork() == 0) {
      while (::inotify_init() >= 0) ++watches;
      while (::epoll_create(1) >= 0 && held < kDescriptorsMax / 8) ++held;
      int two[2];
      while (::pipe(two) == 0 && held < kDescriptorsMax / 8) held += 2;
      size_t counts[2] = {held, watches};
      if (::write(ends[1], counts, sizeof counts) < 0) ::_exit(1);
      until.wait();
      ::_exit(0);
    }
  }
  ::close(ends[1]);
  size_t counts[2];
  while (::read(ends[0], counts, sizeof counts) == sizeof counts) {
    held += counts[0];
    watches += counts[1];
  }
  while (::wait(nullptr) > 0) {
  }
  return obtained(std::to_string(held) + " descriptors, " + std::to_string(watches) +
                  " inotify instances");
}

Finding sync_writes(const Facts& f) {
  Until until(f);
  const std::string path = "/tmp/" + f["tag"] + ".sync";
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refused("create " + path);
  ::unlink(path.c_str());
  std::vector<char> block(256 << 10, 'x');
  size_t rounds = 0;
  while (!until.over()) {
    if (::pwrite(fd, block.data(), block.size(), 0) < 0 || ::fsync(fd) != 0) break;
    ++rounds;
  }
  ::close(fd);
  return obtained(std::to_string(rounds) + " synchronous writes");
}

constexpr Row kRows[] = {{"E1", fork_bomb}, {"E2", memory},      {"E3b", spin},
                         {"E4", fill_disk}, {"E5", descriptors}, {"E13", sync_writes}};

}  // namespace

std::span<const Row> load_attacks() { return kRows; }

}  // namespace bulkhead::probe
