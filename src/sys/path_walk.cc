// resolve_path(): the careful walk.  See open_beneath.h for the rule.
//
// Runs in: a site's pool and bulkhead-files.  Input: the site's file system (hostile).
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "sys/open_beneath.h"

namespace bulkhead::sys {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's own limit

class Walk {
 public:
  explicit Walk(const PathQuery& query) : query_(query) {}

  Resolved run() {
    Resolved at;
    if (query_.path.empty() || query_.path.front() != '/') {
      at.error = ENOENT;
      return at;
    }
    at.error = enter_root(at);
    if (at.error == 0) at.error = follow(at, query_.path, nullptr);
    if (at.error == 0 && is_of_the_kernel(at.object)) at.error = ELOOP;
    return at;
  }

 private:
  // What /proc shows of a process belongs to the process's user, so the rule of owners would admit
  // a link to it; no link to the kernel's own file systems can be meant to publish anything.
  static bool is_of_the_kernel(const Fd& object) {
    struct statfs fs {};
    if (::fstatfs(object.get(), &fs) < 0) return true;
    return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC || fs.f_type == DEBUGFS_MAGIC;
  }

  static int enter_root(Resolved& at) {
    at.object.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!at.object.valid() || ::fstat(at.object.get(), &at.st) < 0) return errno;
    at.parent.reset();
    at.name.clear();
    at.text.clear();
    return 0;
  }

  // Walks `path` from at.object.  `rule`: for every component of it; null: as the query says.
  // After an error at.object is the deepest directory that was reached.
  int follow(Resolved& at, std::string_view path, const LinkRule* rule) {
    size_t begin = 0;
    while (begin < path.size()) {
      size_t end = std::min(path.find('/', begin), path.size());
      std::string_view name = path.substr(begin, end - begin);
      bool slash_follows = end < path.size();
      LinkRule here = rule != nullptr       ? *rule
                      : begin < query_.from ? LinkRule::kOwned
                                            : query_.rule;
      begin = end + 1;
      if (!name.empty() && name != ".") {
        int error = step(at, std::string(name), here);
        if (error != 0) return error;
      }
      bool more = slash_follows || begin < path.size();
      if (more && !S_ISDIR(at.st.st_mode)) return not_a_directory(at);
    }
    return 0;
  }

  static int not_a_directory(Resolved& at) {
    at.object = std::move(at.parent);
    return ENOTDIR;
  }

  int step(Resolved& at, const std::string& name, LinkRule rule) {
    if (name == "..") return step_up(at);
    Fd next(::openat(at.object.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!next.valid() || ::fstat(next.get(), &st) < 0) return errno;
    if (S_ISLNK(st.st_mode)) return step_through(at, next, st, rule);
    at.parent = std::move(at.object);
    at.object = std::move(next);
    at.st = st;
    at.name = name;
    at.text.append("/").append(name);
    return 0;
  }

  static int step_up(Resolved& at) {
    Fd next(::openat(at.object.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!next.valid() || ::fstat(next.get(), &at.st) < 0) return errno;
    at.object = std::move(next);
    at.parent.reset();
    at.name.clear();
    at.text.resize(std::min(at.text.rfind('/'), at.text.size()));
    return 0;
  }

  // Follows the link that `link` is (a descriptor of the link itself, so what is read, whom it
  // belongs to and where it leads are one thing).
  int step_through(Resolved& at, const Fd& link, const struct stat& link_st, LinkRule rule) {
    if (rule == LinkRule::kOff || links_left_-- == 0) return ELOOP;
    char target[PATH_MAX];
    ssize_t size = ::readlinkat(link.get(), "", target, sizeof target);
    if (size < 0) return errno;
    if (size == 0 || size >= static_cast<ssize_t>(sizeof target)) return ENAMETOOLONG;
    if (target[0] == '/') {
      int error = enter_root(at);
      if (error != 0) return error;
    }
    int error = follow(at, {target, static_cast<size_t>(size)}, &rule);
    if (error != 0 && error != ENOENT && error != EACCES) return error;
    // Where nothing is (or nothing that this process can see, or may look for), the last directory
    // on the way decides: a link to a neighbour's file is refused, not "not found".
    if (error != 0 && ::fstat(at.object.get(), &at.st) < 0) return errno;
    bool same_owner = link_st.st_uid == at.st.st_uid;
    bool by_root = rule == LinkRule::kOwned && link_st.st_uid == 0;
    return same_owner || by_root ? error : ELOOP;
  }

  PathQuery query_;
  int links_left_ = kLinksMax;
};

}  // namespace

Resolved resolve_path(const PathQuery& query) {
  Resolved at = Walk(query).run();
  if (at.text.empty()) at.text = "/";
  return at;
}

}  // namespace bulkhead::sys
