// The part of /etc that sites see: an allow-list, copied.
//
// Runs in: zygote (root).  Input: /etc (the administrator's).  A copy instead of bind mounts: sixty
// mounts per site would cost more time than everything else of a view together.
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base_tree.h"
#include "sys/files.h"

namespace bulkhead::sandbox {
namespace {

constexpr off_t kFileBytesMax = 4 << 20;
constexpr int kDepthMax = 8;
constexpr size_t kEntriesMax = 20'000;

// Names directly in /etc.  Each line: what needs it.
constexpr const char* kAllowed[] = {
    "resolv.conf",
    "hosts",
    "host.conf",
    "nsswitch.conf",
    "gai.conf",
    "services",
    "protocols",
    "networks",
    "ethertypes",
    "rpc",
    "hostname",  // names of machines and services
    "ssl",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "gnutls",
    "pki",  // TLS
    "localtime",
    "timezone",
    "adjtime",  // time
    "locale.alias",
    "locale.conf",
    "locale.gen",
    "default",  // see kBelow: default/locale
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.cache",
    "alternatives",
    "environment",  // starting programs
    "php",
    "perl",
    "python3",
    "python3.[0-9]*",
    "node",
    "npmrc",
    "java-*",  // languages
    "fonts",
    "ImageMagick-*",
    "ghostscript",
    "mime.types",
    "magic",
    "magic.mime",
    "papersize",
    "paper.config",
    "vips",
    "mailcap",  // images and types
    "mysql",
    "my.cnf",
    "my.cnf.d",
    "odbc.ini",
    "odbcinst.ini",
    "freetds",
    "postgresql-common",
    "gitconfig",
    "wgetrc",
    "curlrc",
    "mailname",
    "bash.bashrc",
    "profile",
    "inputrc",
    "terminfo",
    "debian_version",
    "os-release",
    "lsb-release",
    "issue",
    "issue.net",
    "redhat-release",
    "shells",
    "skel",
    "mtab",
    "machine-info",
    "xattr.conf",
    "nanorc",
    "vim",
    "sensors3.conf",
    "libaudit.conf",
    "selinux",
    "emacs",
    "groff",
    "manpath.config",
    "sgml",
    "xml",
    "dictionaries-common",
};

// Paths below an allowed directory that stay out, and for `default` the only ones that come.
constexpr const char* kRefused[] = {
    "ssl/private",     "ssl/private/*",    "php/*/fpm", "php/*/fpm/*", "php/*/apache2",
    "php/*/apache2/*", "mysql/debian.cnf", "selinux/*", "vim/*",
};
constexpr const char* kOnlyBelowDefault[] = {"default/locale"};

bool matches(const std::string& path, const char* const* patterns, size_t count, int flags) {
  for (size_t i = 0; i < count; ++i) {
    if (::fnmatch(patterns[i], path.c_str(), flags) == 0) return true;
  }
  return false;
}

bool is_allowed(const std::string& path) {
  if (path.find('/') == std::string::npos) {
    return matches(path, kAllowed, std::size(kAllowed), FNM_PERIOD);
  }
  if (path.starts_with("default/")) {
    return matches(path, kOnlyBelowDefault, std::size(kOnlyBelowDefault), 0);
  }
  return !matches(path, kRefused, std::size(kRefused), FNM_PATHNAME);
}

class Copy {
 public:
  void directory(sys::FdRef from, sys::FdRef to, const std::string& path, int depth) {
    sys::Fd listing(::openat(from.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR* dir = listing.valid() ? ::fdopendir(listing.get()) : nullptr;
    if (dir == nullptr) return;
    (void)listing.release();
    while (const dirent* found = ::readdir(dir)) {
      const std::string name = found->d_name;
      if (name == "." || name == ".." || ++entries_ > kEntriesMax) continue;
      const std::string below = path.empty() ? name : path + "/" + name;
      if (is_allowed(below)) entry(from, to, name, below, depth);
    }
    ::closedir(dir);
  }

  void entry(sys::FdRef from, sys::FdRef to, const std::string& name, const std::string& path,
             int depth) {
    struct stat st {};
    if (::fstatat(from.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (S_ISLNK(st.st_mode)) return link(from, to, name);
    if (S_ISREG(st.st_mode)) return file(from, to, name, O_NOFOLLOW);
    if (!S_ISDIR(st.st_mode) || (st.st_mode & S_IROTH) == 0 || depth >= kDepthMax) return;
    sys::Fd inner(
        ::openat(from.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (::mkdirat(to.get(), name.c_str(), 0755) < 0) return;
    sys::Fd made(::openat(to.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (inner.valid() && made.valid()) directory(inner, made, path, depth + 1);
  }

 private:
  // A link into /usr, /etc or beside itself stays one; what another leads to is copied, since its
  // target (/run/systemd/resolve/stub-resolv.conf) is not in the view.
  static void link(sys::FdRef from, sys::FdRef to, const std::string& name) {
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(from.get(), name.c_str(), target, sizeof target - 1);
    if (size <= 0) return;
    const std::string text(target, static_cast<size_t>(size));
    const bool keeps = text.starts_with("/usr/") || text.starts_with("/etc/") ||
                       text.starts_with("/proc/") || text.starts_with("../usr/") ||
                       text.find("..") == std::string::npos;
    if (text[0] == '/' && !text.starts_with("/usr/") && !text.starts_with("/etc/") &&
        !text.starts_with("/proc/")) {
      return file(from, to, name, 0);
    }
    if (!keeps && text.starts_with("../run/")) return file(from, to, name, 0);
    [[maybe_unused]] int done = ::symlinkat(text.c_str(), to.get(), name.c_str());
  }

  static void file(sys::FdRef from, sys::FdRef to, const std::string& name, int flags) {
    sys::Fd in(::openat(from.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags));
    struct stat st {};
    if (!in.valid() || ::fstat(in.get(), &st) < 0 || !S_ISREG(st.st_mode)) return;
    if ((st.st_mode & S_IROTH) == 0 || st.st_size > kFileBytesMax) return;
    std::string bytes(static_cast<size_t>(st.st_size), '\0');
    const ssize_t size = ::read(in.get(), bytes.data(), bytes.size());
    if (size < 0) return;
    bytes.resize(static_cast<size_t>(size));
    sys::Fd out(::openat(to.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                         (st.st_mode & 0111) != 0 ? 0755 : 0644));
    if (out.valid()) sys::write_all(out, bytes);
  }

  size_t entries_ = 0;
};

// Files, or links to files; a directory would take too long to look at before each site.
constexpr const char* kChanging[] = {"resolv.conf",
                                     "hosts",
                                     "hostname",
                                     "nsswitch.conf",
                                     "host.conf",
                                     "gai.conf",
                                     "localtime",
                                     "timezone",
                                     "mailname",
                                     "ld.so.cache",
                                     "mime.types",
                                     "environment",
                                     "ssl/certs/ca-certificates.crt"};

// Another text when the file, or what a link leads to, is another.
std::string look(const std::string& path) {
  std::string text;
  struct stat st {};
  for (const int flags : {AT_SYMLINK_NOFOLLOW, 0}) {
    if (::fstatat(AT_FDCWD, path.c_str(), &st, flags) < 0) return text;
    text += std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) + ":" +
            std::to_string(st.st_size) + ":" + std::to_string(st.st_mtim.tv_sec) + "." +
            std::to_string(st.st_mtim.tv_nsec) + ":" + std::to_string(st.st_mode) + " ";
  }
  return text;
}

// Beside the old one first, so that no site finds it half written.
void replace_copy(const std::string& from, const std::string& to, const std::string& name) {
  const size_t slash = name.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : "/" + name.substr(0, slash);
  const std::string leaf = slash == std::string::npos ? name : name.substr(slash + 1);
  sys::Fd source(::open((from + folder).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  sys::Fd target(::open((to + folder).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!source.valid() || !target.valid()) return;
  const std::string beside = ".renewed";
  if (::mkdirat(target.get(), beside.c_str(), 0700) < 0 && errno != EEXIST) return;
  sys::Fd fresh(::openat(target.get(), beside.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fresh.valid()) return;
  Copy().entry(source, fresh, leaf, name, 0);
  if (::renameat(fresh.get(), leaf.c_str(), target.get(), leaf.c_str()) < 0 && errno == ENOENT) {
    ::unlinkat(target.get(), leaf.c_str(), 0);  // it is gone, or no longer everybody's to read
  }
  ::unlinkat(target.get(), beside.c_str(), AT_REMOVEDIR);
}

}  // namespace

EtcRefresh::EtcRefresh(std::string from) : from_(std::move(from)) {
  for (const char* name : kChanging) seen_.push_back(look(from_ + "/" + name));
}

int EtcRefresh::renew(const std::string& to) {
  int renewed = 0;
  const mode_t kept = ::umask(0);
  for (size_t i = 0; i < std::size(kChanging); ++i) {
    std::string now = look(from_ + "/" + kChanging[i]);
    if (now == seen_[i]) continue;
    seen_[i] = std::move(now);
    replace_copy(from_, to, kChanging[i]);
    ++renewed;
  }
  ::umask(kept);
  return renewed;
}

Status copy_etc(sys::FdRef from, sys::FdRef to) {
  Copy().directory(from, to, "", 0);
  // A view lays its own over these.
  for (const char* name : {"passwd", "group"}) {
    sys::Fd made(::openat(to.get(), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!made.valid()) return fail_errno(std::string("cannot make etc/") + name + " of the base");
  }
  return {};
}

}  // namespace bulkhead::sandbox
