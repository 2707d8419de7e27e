#include "import/secrets.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sys/directory.h"
#include "sys/fd.h"

namespace bulkhead::import {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kSecretsMax = 200;  // more is the same news

// Below `directory`, never through a link, never off this file system.
sys::Fd open_below(sys::FdRef directory, const std::string& name, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return sys::Fd(
      static_cast<int>(::syscall(SYS_openat2, directory.get(), name.c_str(), &how, sizeof how)));
}

bool is_settings(std::string_view name) {
  for (std::string_view known :
       {"wp-config.php", ".env", ".env.local", ".env.production", "configuration.php",
        "settings.php", "settings.local.php", "LocalSettings.php", "parameters.yml", "database.php",
        "config.inc.php", ".htpasswd", ".my.cnf", "auth.json"}) {
    if (name == known) return true;
  }
  return false;
}
bool is_key(std::string_view name) {
  return name.ends_with(".key") || name == "id_rsa" || name == "id_ed25519";
}
std::string octal(unsigned mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

class Search {
 public:
  Search(const SearchBounds& bounds, Report* report)
      : bounds_(bounds), report_(*report), until_(Clock::now() + bounds.time) {}

  void below(const std::string& root) {
    hit_bound_ = false;
    sys::Fd top(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    // A root that is a link is the administrator's, as nginx takes it.
    if (!top.valid()) top = sys::Fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top.valid()) return;
    walk(top, root, bounds_.depth);
    if (hit_bound_) report_.not_searched.push_back(root);
  }
  void entries_of(const std::string& directory) {
    sys::Fd top(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (top.valid()) walk(top, directory, 0);
  }

 private:
  bool is_over() {
    const bool over =
        ++seen_ > bounds_.entries || Clock::now() > until_ || report_.secrets.size() >= kSecretsMax;
    hit_bound_ |= over;
    return over;
  }

  void walk(sys::FdRef directory, const std::string& path, int depth) {
    auto names = sys::names_in(directory);
    if (!names) return;
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      if (is_over()) return;
      struct stat st {};
      if (::fstatat(directory.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      const std::string full = path + "/" + name;
      if (S_ISREG(st.st_mode)) {
        judge(full, name, st);
      } else if (S_ISDIR(st.st_mode) && depth > 0) {
        const sys::Fd inner = open_below(directory, name, O_RDONLY | O_DIRECTORY);
        if (inner.valid()) walk(inner, full, depth - 1);
      } else if (S_ISDIR(st.st_mode) && bounds_.depth > 0 && depth == 0) {
        hit_bound_ = true;
      }
    }
  }

  void judge(const std::string& path, std::string_view name, const struct stat& st) {
    if ((st.st_mode & S_IROTH) == 0) return;
    if (is_settings(name)) {
      report_.secrets.push_back({path, "settings of an application", octal(st.st_mode)});
    } else if (is_key(name)) {
      report_.secrets.push_back({path, "private key", octal(st.st_mode)});
    }
  }

  const SearchBounds& bounds_;
  Report& report_;
  Clock::time_point until_;
  size_t seen_ = 0;
  bool hit_bound_ = false;
};

bool is_public_part(std::string_view root) {
  const std::string_view name = root.substr(root.rfind('/') + 1);
  return name == "public" || name == "web" || name == "htdocs" || name == "public_html" ||
         name == "pub" || name == "www";
}

}  // namespace

void look_for_secrets(const std::vector<std::string>& roots, const SearchBounds& bounds,
                      Report* report) {
  Search search(bounds, report);
  for (const std::string& root : roots) {
    search.below(root);
    if (is_public_part(root) && root.rfind('/') > 0) {
      search.entries_of(root.substr(0, root.rfind('/')));
    }
  }
  auto& all = report->secrets;
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.path < b.path; });
  all.erase(std::unique(all.begin(), all.end(), [](auto& a, auto& b) { return a.path == b.path; }),
            all.end());
}

void look_at_key(const std::string& path, Report* report) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  if ((st.st_mode & S_IROTH) != 0) {
    report->secrets.push_back({path, "private key", octal(st.st_mode)});
  }
}

}  // namespace bulkhead::import
