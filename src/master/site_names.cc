#include "master/site_names.h"

#include <algorithm>
#include <map>
#include <set>

namespace bulkhead::master {
namespace {

constexpr size_t kNearMax = 5;           // names suggested
constexpr size_t kComparedMax = 20'000;  // names looked at for that

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// A name the site may be asked for, with its distance to what was typed.
using Near = std::set<std::pair<size_t, std::string>>;

class Search {
 public:
  Search(const Loaded& loaded, std::string_view name, const MayKnow& may_know)
      : loaded_(loaded), name_(lower(name)), may_know_(may_know) {
    for (const config::Site& site : loaded.snapshot.sites) by_id_[site.id] = &site;
  }

  [[nodiscard]] const config::Site* by_pool_name() const {
    for (const config::Site& site : loaded_.snapshot.sites) {
      if (lower(site.name) == name_ && may_know_(site)) return &site;
    }
    return nullptr;
  }

  [[nodiscard]] std::set<const config::Site*> by_server_name() const {
    std::set<const config::Site*> found;
    each_server_name([&](std::string_view text, const config::Site* site) {
      if (text == name_) found.insert(site);
    });
    return found;
  }

  [[nodiscard]] std::string near_names() const {
    Near near;
    size_t looked_at = 0;
    const size_t far = std::max<size_t>(2, name_.size() / 3);
    auto look = [&](std::string_view text) {
      if (++looked_at > kComparedMax) return;
      const bool within = text.find(name_) != std::string_view::npos;
      const size_t distance = within ? 1 : edit_distance(name_, lower(text));
      if (distance > far) return;
      near.emplace(distance, text);
      if (near.size() > kNearMax) near.erase(std::prev(near.end()));
    };
    for (const config::Site& site : loaded_.snapshot.sites) {
      if (may_know_(site)) look(site.name);
    }
    each_server_name([&](std::string_view text, const config::Site*) { look(text); });
    std::string out;
    for (const auto& [distance, text] : near) out += (out.empty() ? "" : ", ") + text;
    return out;
  }

  [[nodiscard]] size_t known() const {
    return static_cast<size_t>(
        std::count_if(loaded_.snapshot.sites.begin(), loaded_.snapshot.sites.end(), may_know_));
  }
  [[nodiscard]] std::string all_names() const {
    std::string out;
    for (const config::Site& site : loaded_.snapshot.sites) {
      if (may_know_(site)) out += (out.empty() ? "" : ", ") + site.name;
    }
    return out;
  }

 private:
  template <class Each>
  void each_server_name(Each each) const {
    if (loaded_.model == nullptr) return;
    const auto& openers = loaded_.snapshot.opener_of_server;
    for (size_t i = 0; i < loaded_.model->servers.size() && i < openers.size(); ++i) {
      auto at = by_id_.find(openers[i]);
      if (at == by_id_.end() || !may_know_(*at->second)) continue;
      for (const config::ServerName& name : loaded_.model->servers[i]->names) {
        if (name.kind == config::ServerName::Kind::kRegex || name.text.empty()) continue;
        each(name.text, at->second);
      }
    }
  }

  const Loaded& loaded_;
  const std::string name_;
  const MayKnow& may_know_;
  std::map<uint32_t, const config::Site*> by_id_;
};

}  // namespace

// Damerau's distance with restricted swaps, one row at a time.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

Result<const config::Site*> find_site_named(const Loaded& loaded, std::string_view name,
                                            const MayKnow& may_know) {
  const Search search(loaded, name, may_know);
  if (const config::Site* site = search.by_pool_name()) return site;
  const auto found = search.by_server_name();
  if (found.size() == 1) return *found.begin();
  const std::string quoted = "\"" + std::string(name) + "\"";
  if (found.size() > 1) {
    std::string sites;
    for (const config::Site* site : found) sites += (sites.empty() ? "" : ", ") + site->name;
    return fail(quoted + " is a server_name of several sites: say which of " + sites);
  }
  std::string text = "no site is named " + quoted;
  const std::string near = search.near_names();
  constexpr size_t kListedMax = 10;
  if (!near.empty()) {
    text += "; near it: " + near;
  } else if (search.known() == 0) {
    text += "; you may use none of those that are served";
  } else if (search.known() <= kListedMax) {
    text += "; there is: " + search.all_names();
  }
  return fail(text);
}

}  // namespace bulkhead::master
