#include "sandbox/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "sys/fd.h"
#include "sys/process.h"

namespace bulkhead::sandbox {
namespace {

constexpr int kDepthMax = 64;

// A directory below `at`, made when missing.  mkdir(2)'s mode is cut by the umask: set it.
Result<sys::Fd> own_directory(sys::FdRef at, const char* name, mode_t mode,
                              const std::string& path) {
  const bool made = ::mkdirat(at.get(), name, mode) == 0;
  if (!made && errno != EEXIST) {
    return fail_errno("cannot make the directory " + path + "/" + name);
  }
  sys::Fd fd(::openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open the directory " + path + "/" + name);
  if (made && ::fchmod(fd.get(), mode) < 0) return fail_errno("fchmod() failed on " + path);
  return fd;
}

// Gives away what `from` owned.  A file with a second name may be somebody else's: it stays.
void give_away(sys::Fd directory, uid_t from, const sys::Identity& to, int depth) {
  DIR* dir = ::fdopendir(directory.get());
  if (dir == nullptr) return;
  const sys::FdRef at(directory.release());
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    struct stat st {};
    if (name == "." || name == "..") continue;
    sys::Fd fd(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid() || ::fstat(fd.get(), &st) < 0 || st.st_uid != from) continue;
    if (!S_ISDIR(st.st_mode) && st.st_nlink != 1) continue;
    if (::fchownat(fd.get(), "", to.uid, to.gid, AT_EMPTY_PATH) < 0 || !S_ISDIR(st.st_mode)) {
      continue;
    }
    sys::Fd inner(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (inner.valid() && depth < kDepthMax) give_away(std::move(inner), from, to, depth + 1);
  }
  ::closedir(dir);
}

Status own_leaf(sys::FdRef site, const char* name, const sys::Identity& who,
                const std::string& path) {
  sys::Fd leaf = TRY(own_directory(site, name, 0700, path));
  struct stat st {};
  if (::fstat(leaf.get(), &st) < 0) return fail_errno("cannot ask about " + path + "/" + name);
  if (st.st_uid == who.uid && st.st_gid == who.gid) return {};
  if (::fchown(leaf.get(), who.uid, who.gid) < 0) {
    return fail_errno("cannot give " + path + "/" + name + " to user " + who.name);
  }
  if (st.st_uid != 0 && st.st_uid != who.uid) give_away(std::move(leaf), st.st_uid, who, 0);
  return {};
}

// mkdir -p, for parents that the administrator did not make.
Status make_parents(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    if (::mkdir(path.substr(0, at).c_str(), 0755) < 0 && errno != EEXIST) {
      return fail_errno("cannot make " + path.substr(0, at));
    }
  }
  return {};
}

}  // namespace

Status prepare_state_root(const std::string& state) {
  const std::string advice = "; name another state directory with --state DIR";
  if (state.empty() || state[0] != '/') return fail("the state directory must begin with '/'");
  if (auto done = make_parents(state); !done) {
    return fail_errno(done.error().text + advice, done.error().errno_value);
  }
  sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const bool made = ::mkdir(state.c_str(), 0711) == 0;
  if (!made && errno != EEXIST) return fail_errno("cannot make " + state + advice);
  sys::Fd fd(::open(state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) < 0) return fail_errno("cannot open " + state + advice);
  if (made) (void)::fchmod(fd.get(), 0711);
  if (st.st_uid != ::geteuid() || (st.st_mode & 0022) != 0) {
    return fail("the state directory " + state + " can be changed by others (owner " +
                sys::user_name(st.st_uid) + ")" + advice);
  }
  (void)TRY(own_directory(fd, "sites", 0711, state));
  return {};
}

std::string site_state(const std::string& state, std::string_view pool) {
  std::string name;
  for (const unsigned char c : pool) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || (c == '.' && !name.empty());
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", c);
    name += plain ? std::string(1, static_cast<char>(c)) : hex;
  }
  return state + "/sites/" + name;
}

Status prepare_site_state(const std::string& site_state, const sys::Identity& who) {
  const size_t slash = site_state.rfind('/');
  const std::string sites = site_state.substr(0, slash);
  sys::Fd parent(::open(sites.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return fail_errno("cannot open the state directory " + sites);
  const sys::Fd site = TRY(own_directory(parent, site_state.c_str() + slash + 1, 0711, sites));
  for (const char* name : kStateDirs) TRY_STATUS(own_leaf(site, name, who, site_state));
  return {};
}

}  // namespace bulkhead::sandbox
