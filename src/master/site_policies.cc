#include "master/site_policies.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>

#include "config/pool_mail.h"
#include "master/site_paths.h"
#include "sandbox/state_dir.h"
#include "sandbox/tree_walk.h"
#include "sys/process.h"

namespace bulkhead::master {
namespace {

using sandbox::SitePolicy;
using sandbox::Tree;

SitePolicy of_pool(const config::PoolConfig& pool, const Options& options) {
  SitePolicy policy;
  policy.mode = pool.sandbox == "off"      ? sandbox::Mode::kOff
                : pool.sandbox == "strict" ? sandbox::Mode::kStrict
                                           : sandbox::Mode::kOn;
  policy.layers =
      static_cast<sandbox::LayerSet>(sandbox::kAllLayers & ~sandbox::layers_of(pool.sandbox_off));
  policy.mail = config::sendmail_options(pool);
  if (!options.state.empty()) {
    policy.state_root = options.state;
    policy.state = sandbox::site_state(options.state, pool.name);
  }
  return policy;
}

bool is_named(const Tree& tree) {
  return tree.origin != "home" && tree.origin != "chdir" && tree.access == Tree::Access::kWrite &&
         (tree.need == Tree::Need::kMust || tree.origin == "root" || tree.origin == "alias" ||
          tree.origin == "fastcgi_param");
}

// Without links, if it is there; as it is written else.
std::string canonical(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  std::string out = real != nullptr ? real : path;
  std::free(real);
  return out;
}

// The widest directory that the site's view may show because of `path`: see sandbox/tree_walk.h.
std::string widest(const std::string& path, uid_t owner) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    std::string prefix = path.substr(0, at);
    struct stat st {};
    if (::stat(prefix.c_str(), &st) < 0) break;
    if (st.st_uid == owner && !sandbox::is_common(prefix)) return prefix;
  }
  return path;
}

// Every tree of every site in the order of paths, to find those inside another.
class Neighbours {
 public:
  explicit Neighbours(const Loaded& loaded) : loaded_(loaded) {
    for (size_t i = 0; i < loaded.policies.size(); ++i) {
      for (const Tree& tree : loaded.policies[i].trees) {
        if (tree.origin == "sandbox.read" || tree.by_default) continue;
        trees_.emplace(canonical(tree.path), i);
        trees_.emplace(tree.path, i);
      }
    }
  }

  std::vector<std::string> masks_of(size_t site) const {
    std::vector<std::string> out;
    const SitePolicy& policy = loaded_.policies[site];
    if (policy.wide) {
      add("/", site, &out);
    } else {
      for (const Tree& tree : policy.trees) {
        if (tree.path == "/") continue;
        const std::string path = canonical(tree.path);
        add(widest(path, loaded_.identities[site].uid), site, &out);
        if (path.rfind('/') > 0) add(path, site, &out);
      }
      add("/usr", site, &out);  // which every site sees
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

 private:
  // What others own inside `range`.
  void add(const std::string& range, size_t site, std::vector<std::string>* out) const {
    for (auto at = trees_.lower_bound(range); at != trees_.end(); ++at) {
      const auto& [path, other] = *at;
      if (!path.starts_with(range)) break;
      if (path == range || !sandbox::is_within(path, range)) continue;
      if (loaded_.identities[other].uid == loaded_.identities[site].uid) continue;
      if (is_common(path) || is_ours(path, site)) continue;
      out->push_back(path);
    }
  }
  // What packages bring is everybody's (/usr/share/phpmyadmin); a site's own directory deeper in
  // there (/usr/share/nginx/html) is not.
  static bool is_common(const std::string& path) {
    constexpr long kPackage = 3;  // "/usr/share/x"
    return sandbox::is_common(path) || (sandbox::is_within(path, "/usr") &&
                                        std::count(path.begin(), path.end(), '/') <= kPackage);
  }
  // A directory that both sites name is no secret between them.
  bool is_ours(const std::string& path, size_t site) const {
    const auto& trees = loaded_.policies[site].trees;
    return std::any_of(trees.begin(), trees.end(),
                       [&](const Tree& t) { return t.path == path || canonical(t.path) == path; });
  }

  const Loaded& loaded_;
  std::multimap<std::string, size_t> trees_;
};

// Sites of one user are one owner: each sees what the others name.
void share_by_user(Loaded* loaded) {
  std::map<uid_t, std::vector<size_t>> sites;
  for (size_t i = 0; i < loaded->policies.size(); ++i) {
    sites[loaded->identities[i].uid].push_back(i);
  }
  for (const auto& [uid, group] : sites) {
    if (group.size() < 2) continue;
    std::vector<Tree> all;
    for (const size_t i : group) {
      for (Tree tree : loaded->policies[i].trees) {
        tree.need = Tree::Need::kMay;
        all.push_back(std::move(tree));
      }
    }
    for (const size_t i : group) {
      auto& own = loaded->policies[i].trees;
      for (const Tree& tree : all) {
        const bool known =
            std::any_of(own.begin(), own.end(), [&](const Tree& t) { return t.path == tree.path; });
        if (known) continue;
        own.push_back(tree);
        // What its opener only reads, its pool may write.
        const bool is_root = tree.origin == "root" || tree.origin == "alias";
        if (is_root && loaded->snapshot.sites[i].has_pool && tree.path != "/") {
          own.back().access = Tree::Access::kWrite;
        }
      }
    }
  }
}

}  // namespace

void make_policies(const Options& options, Loaded* loaded) {
  const auto& sites = loaded->snapshot.sites;
  loaded->policies.assign(sites.size(), {});
  const bool root = sys::is_root();
  std::vector<std::vector<Tree>> trees = server_trees(*loaded->model, loaded->snapshot);
  for (size_t i = 0; i < sites.size(); ++i) {
    SitePolicy& policy = loaded->policies[i];
    const config::PoolConfig* pool = loaded->pool_of(sites[i]);
    policy.mode = sandbox::Mode::kOn;
    if (pool != nullptr) policy = of_pool(*pool, options);
    policy.trees = std::move(trees[i]);
    if (pool == nullptr) {
      // bulkhead-files reads roots and writes bodies and logs.
      for (Tree& tree : policy.trees) {
        if (tree.origin == "root" || tree.origin == "alias") tree.access = Tree::Access::kRead;
      }
    }
    if (pool == nullptr || !root) continue;
    for (Tree& tree : policy.trees) {
      tree.there = !tree.is_web_root() || ::access(tree.path.c_str(), F_OK) == 0;
    }
    for (Tree& tree : pool_trees(*pool, loaded->identities[i])) {
      policy.trees.push_back(std::move(tree));
    }
    policy.wide = std::none_of(policy.trees.begin(), policy.trees.end(), is_named);
  }
  if (!root) return;  // nobody can be given a view
  share_by_user(loaded);
  const Neighbours neighbours(*loaded);
  for (size_t i = 0; i < sites.size(); ++i) {
    loaded->policies[i].masks = neighbours.masks_of(i);
  }
}

std::vector<config::FpmMessage> sandbox_notes(const Loaded& loaded) {
  std::vector<config::FpmMessage> out;
  std::string wide;
  size_t count = 0;
  for (size_t i = 0; i < loaded.policies.size(); ++i) {
    const SitePolicy& policy = loaded.policies[i];
    const config::Site& site = loaded.snapshot.sites[i];
    if (!site.has_pool) continue;
    const std::string pool = "[pool " + site.name + "] ";
    const auto off = static_cast<sandbox::LayerSet>(sandbox::kAllLayers & ~policy.layers);
    if (policy.mode == sandbox::Mode::kOff) {
      out.push_back({config::FpmLevel::kWarning,
                     pool + "SANDBOX IS OFF (sandbox = off): only file permissions stand between "
                            "this site and the others"});
    } else if (off != 0) {
      out.push_back({config::FpmLevel::kWarning, pool + "SANDBOX LAYERS ARE OFF (sandbox.off[]): " +
                                                     sandbox::layer_names(off)});
    } else if (policy.wide) {
      if (++count <= 3) (wide += wide.empty() ? "" : ", ") += site.name;
    }
  }
  if (count > 0) {
    if (count > 3) wide += " and " + std::to_string(count - 3) + " more";
    out.push_back({config::FpmLevel::kNotice,
                   "the directories of pool " + wide +
                       " are not known: it sees the machine's files, without those of other pools; "
                       "name the site's directories with sandbox.write[] to narrow it"});
  }
  return out;
}

}  // namespace bulkhead::master
