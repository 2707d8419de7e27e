#include "sandbox/tree_walk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <iterator>
#include <string_view>

namespace bulkhead::sandbox {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's own limit

constexpr std::string_view kCommon[] = {
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lost+found",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/srv/www",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/cache",
    "/var/log",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",
    "/var/www",
    "/var/www/vhosts",
    "/run/lock",
    "/dev/shm",
    "/home/www",
};

class Walk {
 public:
  explicit Walk(uid_t owner) : owner_(owner) {}

  Result<WalkResult> run(const std::string& path) {
    const int error = from_root(path);
    if (error != 0) return fail_errno("cannot follow " + path, error);
    show_end();
    return std::move(result_);
  }

 private:
  struct Step {
    sys::Fd fd;
    std::string name;
    struct stat st {};
  };

  int enter_root() {
    way_.clear();
    Step root;
    root.fd.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root.fd.valid() || ::fstat(root.fd.get(), &root.st) < 0) return errno;
    way_.push_back(std::move(root));
    return 0;
  }
  int from_root(const std::string& path) {
    if (path.empty() || path[0] != '/') return EINVAL;
    const int error = enter_root();
    return error != 0 ? error : follow(path);
  }

  int follow(std::string_view path) {
    for (size_t begin = 0; begin < path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      const std::string name(path.substr(begin, end - begin));
      begin = end + 1;
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        if (way_.size() > 1) way_.pop_back();
        continue;
      }
      if (const int error = enter(name); error != 0) return error;
    }
    return 0;
  }

  int enter(const std::string& name) {
    Step next;
    next.name = name;
    next.fd.reset(::openat(way_.back().fd.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next.fd.valid() || ::fstat(next.fd.get(), &next.st) < 0) return errno;
    if (S_ISLNK(next.st.st_mode)) return through(next);
    way_.push_back(std::move(next));
    return 0;
  }

  int through(const Step& link) {
    if (links_left_-- == 0) return ELOOP;
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(link.fd.get(), "", target, sizeof target);
    if (size <= 0) return errno != 0 ? errno : EINVAL;
    if (size == static_cast<ssize_t>(sizeof target)) return ENAMETOOLONG;
    const std::string text(target, static_cast<size_t>(size));
    show_holder(link.name, text);
    if (text[0] == '/') {
      if (const int error = enter_root(); error != 0) return error;
    }
    if (const int error = follow(text); error != 0) return error;
    const uid_t by = link.st.st_uid;
    return by == 0 || by == way_.back().st.st_uid ? 0 : ELOOP;
  }

  std::string path_of(size_t steps) const {
    std::string path;
    for (size_t i = 1; i < steps; ++i) path.append("/").append(way_[i].name);
    return path.empty() ? "/" : path;
  }

  // The first directory on the way that is the owner's, else the last step.
  size_t top() const {
    for (size_t i = 1; i + 1 < way_.size() && owner_ != 0; ++i) {
      if (way_[i].st.st_uid == owner_ && S_ISDIR(way_[i].st.st_mode) && !is_common(path_of(i + 1)))
        return i;
    }
    return way_.size() - 1;
  }

  void show(size_t step) { result_.shown.push_back(found_at(step)); }
  Found found_at(size_t step) const {
    Found found;
    found.path = path_of(step + 1);
    found.is_directory = S_ISDIR(way_[step].st.st_mode);
    found.object.reset(::fcntl(way_[step].fd.get(), F_DUPFD_CLOEXEC, 3));
    return found;
  }
  void show_end() {
    show(top());
    result_.end = found_at(way_.size() - 1);
  }

  // The link itself must be there, and stay the link that the site may change.
  void show_holder(const std::string& name, const std::string& target) {
    const size_t first = top();
    const bool inside_own = way_[first].st.st_uid == owner_ && owner_ != 0;
    const std::string holder = path_of(way_.size());
    if (inside_own) return show(first);
    if (!is_common(holder) && std::count(holder.begin(), holder.end(), '/') >= 3) {
      return show(way_.size() - 1);
    }
    result_.links.push_back({holder == "/" ? "/" + name : holder + "/" + name, target});
  }

  uid_t owner_;
  int links_left_ = kLinksMax;
  std::vector<Step> way_;
  WalkResult result_;
};

}  // namespace

bool is_common(const std::string& path) {
  return std::find(std::begin(kCommon), std::end(kCommon), path) != std::end(kCommon);
}

Result<WalkResult> walk_tree(const std::string& path, uid_t owner) { return Walk(owner).run(path); }

}  // namespace bulkhead::sandbox
