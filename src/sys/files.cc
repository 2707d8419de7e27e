#include "sys/files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <deque>

namespace bulkhead::sys {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's own limit

// N for "/dev/stdout", "/dev/stderr", "/dev/fd/N" and "/proc/self/fd/N"; -1 otherwise.
int standard_descriptor(std::string_view path) {
  if (path == "/dev/stdout") return 1;
  if (path == "/dev/stderr") return 2;
  for (std::string_view prefix : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(prefix)) continue;
    std::string_view digits = path.substr(prefix.size());
    int number = -1;
    auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    if (error == std::errc() && end == digits.end() && number >= 0) return number;
  }
  return -1;
}

int open_without_links(int dir, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, dir, path, &how, sizeof how));
}

// Splits a path into its components in front of `rest`.
void prepend_components(std::string_view path, std::deque<std::string>* rest) {
  std::deque<std::string> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  rest->insert(rest->begin(), parts.begin(), parts.end());
}

// Walks component by component, following only links that root (or we) own.
Result<Fd> walk(const std::string& path, int flags, mode_t mode) {
  std::deque<std::string> rest;
  prepend_components(path, &rest);
  Fd at(::open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  int links = 0;
  while (at.valid() && !rest.empty()) {
    std::string name = std::move(rest.front());
    rest.pop_front();
    Fd next(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    bool exists = next.valid();
    if (!exists && (errno != ENOENT || !rest.empty())) break;
    if (exists && ::fstat(next.get(), &info) < 0) break;
    if (exists && S_ISLNK(info.st_mode)) {
      if (++links > kLinksMax || (info.st_uid != 0 && info.st_uid != ::geteuid())) {
        errno = ELOOP;
        break;
      }
      char target[4096];
      ssize_t size = ::readlinkat(next.get(), "", target, sizeof target);
      if (size < 0) break;
      std::string_view to(target, static_cast<size_t>(size));
      if (int number = standard_descriptor(to); number >= 0 && rest.empty()) {
        return duplicate(FdRef(number));
      }
      prepend_components(to, &rest);
      if (to.starts_with('/')) at.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
      continue;
    }
    if (rest.empty()) {
      Fd file(open_without_links(at.get(), name.c_str(), flags | O_NOFOLLOW, mode));
      if (!file.valid()) break;
      return file;
    }
    at = std::move(next);
  }
  return fail_errno("open() \"" + path + "\" failed");
}

// Somebody else could have given a file of a third party a name in this directory.
bool others_may_write_beside(const std::string& path) {
  std::string name;
  auto directory = open_directory_of(path, &name);
  struct stat info {};
  if (!directory || ::fstat(directory->get(), &info) < 0) return true;
  bool is_ours = info.st_uid == 0 || info.st_uid == ::geteuid();
  return !is_ours || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

}  // namespace

Result<Fd> duplicate(FdRef fd) {
  Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_errno("dup() failed");
  return copy;
}

Result<Fd> open_trusted(const std::string& path, int flags, mode_t mode) {
  if (int number = standard_descriptor(path); number >= 0) return duplicate(FdRef(number));
  Fd fd(open_without_links(AT_FDCWD, path.c_str(), flags, mode));
  if (fd.valid()) return fd;
  if (errno != ELOOP) return fail_errno("open() \"" + path + "\" failed");
  return walk(path, flags, mode);
}

Result<Fd> open_directory_of(const std::string& path, std::string* name) {
  size_t slash = path.rfind('/');
  *name = path.substr(slash + 1);  // npos + 1 is 0
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return open_trusted(directory, O_PATH | O_DIRECTORY);
}

Result<Fd> open_log(const std::string& path, mode_t mode, uid_t uid, gid_t gid) {
  // O_NONBLOCK: a FIFO without a reader must not stop us; it is cleared for the writers below.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY;
  auto opened = open_trusted(path, kFlags);
  bool created = false;
  if (!opened && opened.error().errno_value == ENOENT) {
    opened = open_trusted(path, kFlags | O_CREAT | O_EXCL, mode);
    created = opened.has_value();
    if (!opened && opened.error().errno_value == EEXIST) opened = open_trusted(path, kFlags);
  }
  if (!opened) return opened;
  struct stat info {};
  if (::fstat(opened->get(), &info) < 0) return fail_errno("fstat() \"" + path + "\" failed");
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode) &&
      !S_ISSOCK(info.st_mode)) {
    return fail_errno("open() \"" + path + "\" failed", S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  }
  if (S_ISREG(info.st_mode) && info.st_nlink > 1 && others_may_write_beside(path)) {
    return fail_errno(
        "open() \"" + path + "\" failed, it has a second name and others may write there", EMLINK);
  }
  if (created && (uid != static_cast<uid_t>(-1) || gid != static_cast<gid_t>(-1)) &&
      ::fchown(opened->get(), uid, gid) < 0) {
    return fail_errno("chown() \"" + path + "\" failed");
  }
  if (S_ISREG(info.st_mode)) {
    ::fcntl(opened->get(), F_SETFL, ::fcntl(opened->get(), F_GETFL) & ~O_NONBLOCK);
  }
  return opened;
}

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("open() \"" + path + "\" failed");
  std::string text;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read() \"" + path + "\" failed");
    if (n == 0) return text;
    if (text.size() + static_cast<size_t>(n) > bytes_max) {
      return fail_errno("read() \"" + path + "\" failed", EFBIG);
    }
    text.append(buffer, static_cast<size_t>(n));
  }
}

Status write_file_atomically(const std::string& path, std::string_view text, mode_t mode) {
  std::string name;
  Fd directory = TRY(open_directory_of(path, &name));
  std::string beside = name + ".new";
  ::unlinkat(directory.get(), beside.c_str(), 0);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Fd fd(::openat(directory.get(), beside.c_str(), kFlags, mode));
  if (!fd.valid()) return fail_errno("open() \"" + path + ".new\" failed");
  if (!write_all(fd, text)) return fail_errno("write() to \"" + path + ".new\" failed");
  if (::renameat(directory.get(), beside.c_str(), directory.get(), name.c_str()) < 0) {
    int error = errno;
    ::unlinkat(directory.get(), beside.c_str(), 0);
    return fail_errno("rename() \"" + path + ".new\" to \"" + path + "\" failed", error);
  }
  return {};
}

Status rename_file(const std::string& from, const std::string& to) {
  std::string from_name, to_name;
  Fd source = TRY(open_directory_of(from, &from_name));
  Fd target = TRY(open_directory_of(to, &to_name));
  if (::renameat(source.get(), from_name.c_str(), target.get(), to_name.c_str()) < 0) {
    return fail_errno("rename() " + from + " to " + to + " failed");
  }
  return {};
}

void remove_file(const std::string& path) {
  std::string name;
  if (auto directory = open_directory_of(path, &name)) {
    ::unlinkat(directory->get(), name.c_str(), 0);
  }
}

bool write_all(FdRef fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

Result<uint64_t> size_of(FdRef fd) {
  struct stat st {};
  if (::fstat(fd.get(), &st) < 0) return fail_errno("fstat() failed");
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace bulkhead::sys
