#include "sys/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace bulkhead::sys {
namespace {

constexpr int kTries = 5;  // when what was judged is replaced before it is opened
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr int kAppendFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// A path on which no link lies at all.  Ref: openat2(2), Linux >= 5.6.
int open_without_links(const std::string& path, int flags, Fd& fd) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  fd.reset(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  return fd.valid() ? 0 : errno;
}

// Errors of openat2 that say nothing about the path: walk instead.
bool must_walk(int error) {
  return error == ELOOP || error == ENOSYS || error == EPERM || error == EINVAL || error == E2BIG ||
         error == EAGAIN;
}

// Turns a freshly opened descriptor into an answer.
void judge(Opened& answer) {
  if (::fstat(answer.fd.get(), &answer.st) < 0) {
    answer.error = errno;
  } else if (S_ISDIR(answer.st.st_mode)) {
    // Front may know that it is there, but not read it.
    answer.fd.reset(::openat(answer.fd.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    answer.error = answer.fd.valid() ? 0 : errno;
  } else if (!S_ISREG(answer.st.st_mode)) {
    answer.error = EACCES;
  }
  answer.exists = true;
  if (answer.error != 0) answer.fd.reset();
}

void find_nearest(std::string path, Opened& answer) {
  while (!path.empty()) {
    path.resize(std::min(path.rfind('/'), path.size()));
    int error = open_without_links(path.empty() ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC,
                                   answer.nearest);
    if (error == 0) return;
    if (error != ENOENT && error != ENOTDIR) break;
  }
  answer.nearest.reset();
}

Opened open_walking(const PathQuery& query) {
  Opened answer;
  for (int i = 0; i < kTries; ++i) {
    Resolved at = resolve_path(query);
    answer = Opened{};
    answer.error = at.error;
    if (at.error == ENOENT || at.error == ENOTDIR) answer.nearest = std::move(at.object);
    if (at.error != 0) return answer;
    answer.exists = true;
    answer.st = at.st;
    if (S_ISDIR(at.st.st_mode)) {
      answer.fd = std::move(at.object);
      return answer;
    }
    answer.error = S_ISREG(at.st.st_mode) ? reopen(at, kReadFlags, answer.fd) : EACCES;
    if (answer.error != EAGAIN) return answer;
  }
  answer.error = ELOOP;
  return answer;
}

}  // namespace

int reopen(const Resolved& resolved, int flags, Fd& fd) {
  if (!resolved.parent.valid()) return EISDIR;
  fd.reset(::openat(resolved.parent.get(), resolved.name.c_str(), flags | O_NOFOLLOW));
  if (!fd.valid()) {
    // Gone, or a link now: what was judged is not there any more.
    return errno == ELOOP || errno == ENOENT ? EAGAIN : errno;
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) < 0) return errno;
  if (st.st_dev == resolved.st.st_dev && st.st_ino == resolved.st.st_ino &&
      st.st_uid == resolved.st.st_uid) {
    return 0;
  }
  fd.reset();
  return EAGAIN;
}

Opened open_beneath(const PathQuery& query) {
  Opened answer;
  if (query.path.empty() || query.path.front() != '/') {
    answer.error = ENOENT;
    return answer;
  }
  std::string path(query.path);
  answer.error = open_without_links(path, kReadFlags, answer.fd);
  if (answer.error == 0) {
    judge(answer);
    return answer;
  }
  if (must_walk(answer.error)) return open_walking(query);
  if (answer.error == ENOENT || answer.error == ENOTDIR) find_nearest(path, answer);
  if (answer.error == EACCES) {
    Fd there;
    answer.exists = open_without_links(path, O_PATH | O_CLOEXEC, there) == 0 &&
                    ::fstat(there.get(), &answer.st) == 0;
  }
  return answer;
}

int open_directory(const PathQuery& query, Fd& fd) {
  Resolved at = resolve_path(query);
  if (at.error != 0) return at.error;
  fd.reset(::openat(at.object.get(), ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
  return fd.valid() ? 0 : errno;
}

int open_spool(const PathQuery& directory, Fd& fd) {
  Resolved at = resolve_path(directory);
  if (at.error != 0) return at.error;
  fd.reset(::openat(at.object.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return 0;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) return errno;
  // A file system without O_TMPFILE.
  for (int i = 0; i < kTries; ++i) {
    uint64_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) return errno;
    std::string name = ".bulkhead-" + std::to_string(random);
    fd.reset(::openat(at.object.get(), name.c_str(),
                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd.valid()) return ::unlinkat(at.object.get(), name.c_str(), 0) == 0 ? 0 : errno;
    if (errno != EEXIST) return errno;
  }
  return EEXIST;
}

int open_append(const PathQuery& query, Fd& fd) {
  for (int i = 0; i < kTries; ++i) {
    Resolved at = resolve_path(query);
    int error = at.error;
    if (error == 0) {
      error = S_ISREG(at.st.st_mode) ? reopen(at, kAppendFlags, fd) : EACCES;
    } else if (error == ENOENT) {
      size_t slash = query.path.rfind('/');
      std::string name(query.path.substr(slash + 1));
      PathQuery directory = query;
      directory.path = query.path.substr(0, slash + 1);
      Resolved in = resolve_path(directory);
      if (in.error != 0 || name.empty() || name == "." || name == "..") return ENOENT;
      fd.reset(::openat(in.object.get(), name.c_str(), kAppendFlags | O_CREAT | O_EXCL, 0644));
      error = fd.valid() ? 0 : errno == EEXIST ? EAGAIN : errno;
    }
    if (error != EAGAIN) return error;
  }
  return ELOOP;
}

}  // namespace bulkhead::sys
