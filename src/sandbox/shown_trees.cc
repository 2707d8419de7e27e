#include "sandbox/shown_trees.h"

#include <algorithm>

namespace bulkhead::sandbox {
namespace {

class Resolver {
 public:
  explicit Resolver(const SitePolicy& policy) : policy_(policy) {}

  Result<ShownTrees> run(uid_t owner) {
    for (const Tree& tree : policy_.trees) {
      auto walked = walk_tree(tree.path, owner);
      if (!walked) {
        if (tree.need == Tree::Need::kMay) continue;
        return fail_errno(tree.origin + " \"" + tree.path + "\": " + walked.error().text,
                          walked.error().errno_value);
      }
      for (Link& link : walked->links) out_.links.push_back(std::move(link));
      const bool read = tree.access == Tree::Access::kRead;
      const std::string outer = walked->shown.back().path;
      for (Found& f : walked->shown) add({std::move(f), read, false});
      // Another site's directory lies between what is shown and what is meant.
      if (is_hidden_between(outer, walked->end.path)) add({std::move(walked->end), read, false});
    }
    for (const std::string& path : policy_.masks) {
      Shown mask;
      mask.found.path = path;
      mask.hidden = true;
      out_.trees.push_back(std::move(mask));
    }
    // Outer ones first, so that inner ones lie on top of them.
    std::stable_sort(out_.trees.begin(), out_.trees.end(), [](const Shown& a, const Shown& b) {
      return a.found.path.size() < b.found.path.size();
    });
    return std::move(out_);
  }

 private:
  // Whatever is shown already is not shown again, unless something hidden lies between.
  void add(Shown fresh) {
    const std::string& path = fresh.found.path;
    if (path == "/" || (is_within(path, "/usr") && fresh.read_only)) return;
    for (const char* kernel : {"/proc", "/sys", "/dev"}) {
      if (is_within(path, kernel)) return;
    }
    auto covers = [&](const Shown& outer, const Shown& inner) {
      return is_within(inner.found.path, outer.found.path) &&
             (!outer.read_only || inner.read_only) &&
             !is_hidden_between(outer.found.path, inner.found.path);
    };
    for (const Shown& s : out_.trees) {
      if (covers(s, fresh)) return;
    }
    std::erase_if(out_.trees, [&](const Shown& s) { return covers(fresh, s); });
    out_.trees.push_back(std::move(fresh));
  }
  [[nodiscard]] bool is_hidden_between(const std::string& outer, const std::string& inner) const {
    return std::any_of(policy_.masks.begin(), policy_.masks.end(), [&](const std::string& mask) {
      return is_within(mask, outer) && is_within(inner, mask);
    });
  }

  const SitePolicy& policy_;
  ShownTrees out_;
};

}  // namespace

Result<ShownTrees> resolve_trees(const SitePolicy& policy, uid_t owner) {
  return Resolver(policy).run(owner);
}

}  // namespace bulkhead::sandbox
