#include "master/site_paths.h"

#include <algorithm>
#include <string_view>

#include "sandbox/tree_walk.h"

namespace bulkhead::master {
namespace {

using config::RefKind;
using sandbox::Tree;

constexpr int kDepthMax = 4;  // variables that stand for variables
constexpr size_t kValuesMax = 64;

// Values that a variable of `set` is given anywhere in the server.
void set_values(const config::Location& location, uint32_t slot,
                std::vector<const config::Template*>* out) {
  for (const config::RewriteOp& op : location.ops) {
    if (op.kind == config::RewriteOp::Kind::kSet && !op.builtin && op.slot == slot) {
      out->push_back(&op.value);
    }
  }
  for (const auto& child : location.children) set_values(*child, slot, out);
  for (const auto& child : location.ifs) set_values(*child, slot, out);
}

void map_values(const config::MapDef& map, std::vector<const config::Template*>* out) {
  for (const auto& [key, value] : map.exact) out->push_back(&value);
  for (const auto& [key, value] : map.leading) out->push_back(&value);
  for (const auto& [key, value] : map.trailing) out->push_back(&value);
  for (const auto& re : map.regexes) out->push_back(&re.value);
  if (map.default_value) out->push_back(&*map.default_value);
}

struct Prefix {
  std::string text;
  bool whole = true;  // nothing follows
};

void prefixes(const config::Template& value, const config::Server& server,
              const config::Model& model, int depth, std::vector<Prefix>* out) {
  if (value.parts.empty() || depth > kDepthMax || out->size() > kValuesMax) return;
  const config::VarRef& first = value.parts[0];
  if (first.kind == RefKind::kLiteral) {
    out->push_back({first.text, value.parts.size() == 1});
    return;
  }
  std::vector<const config::Template*> values;
  if (first.kind == RefKind::kUser && server.root) set_values(*server.root, first.index, &values);
  if (first.kind == RefKind::kMap && first.index < model.maps.size()) {
    map_values(model.maps[first.index], &values);
  }
  std::string rest;
  const bool literal_rest = value.parts.size() == 2 && value.parts[1].kind == RefKind::kLiteral;
  if (literal_rest) rest = value.parts[1].text;
  for (const config::Template* v : values) {
    const size_t from = out->size();
    prefixes(*v, server, model, depth + 1, out);
    for (size_t i = from; i < out->size(); ++i) {
      Prefix& p = (*out)[i];
      if (p.whole) p.text += rest;
      p.whole = p.whole && (value.parts.size() == 1 || literal_rest);
    }
  }
}

// Variables that begin with a slash end a directory's name as one would.
bool slash_follows(const config::Template& value) {
  if (value.parts.size() < 2 || value.parts[1].kind != RefKind::kBuiltin) return false;
  switch (static_cast<config::Var>(value.parts[1].index)) {
    case config::Var::kFastcgiScriptName:
    case config::Var::kUri:
    case config::Var::kDocumentUri:
    case config::Var::kRequestUri:
    case config::Var::kFastcgiPathInfo:
      return true;
    default:
      return false;
  }
}

std::string trimmed(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

class Collector {
 public:
  Collector(const config::Model& model, const config::Snapshot& snap)
      : model_(model), snap_(snap), out_(snap.sites.size()) {
    for (size_t i = 0; i < snap.sites.size(); ++i) by_id_[snap.sites[i].id] = i;
  }

  std::vector<std::vector<Tree>> run() {
    for (size_t i = 0; i < model_.servers.size(); ++i) {
      const config::Server& server = *model_.servers[i];
      if (server.root) location(server, *server.root, by_id_[snap_.opener_of_server[i]]);
    }
    return std::move(out_);
  }

 private:
  void location(const config::Server& server, const config::Location& l, size_t opener) {
    const config::LocConf& conf = l.conf;
    std::vector<size_t> sites = {opener};
    for (const uint32_t id : passes_to(conf)) {
      const size_t site = by_id_[id];
      if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
    }
    for (const size_t site : sites) {
      const auto roots = constant_directories(conf.root, server, model_);
      add(site, roots, conf.is_alias ? "alias" : "root", conf.root_origin == nullptr);
      if (roots.empty()) add_unknown(site);
      for (const config::AccessLog& log : conf.access_logs) {
        if (log.file != config::kNone) continue;  // opened by master
        add(site, constant_directories(log.path, server, model_), "access_log");
      }
      // Where the site's opener puts a large request body, when the administrator chose a place.
      if (!conf.client_body_temp_path.starts_with("/var/lib/nginx/")) {
        add(site, {conf.client_body_temp_path}, "client_body_temp_path");
      }
      if (!conf.fastcgi.pass) continue;
      for (const config::SharedParam& p : conf.fastcgi.params) {
        if (p->name == "DOCUMENT_ROOT" || p->name == "SCRIPT_FILENAME") {
          add(site, script_directories(*p, server), "fastcgi_param");
        }
      }
    }
    for (const auto& child : l.children) location(server, *child, opener);
    for (const auto& child : l.ifs) location(server, *child, opener);
  }

  // A script named as a whole stands for its directory.
  std::vector<std::string> script_directories(const config::FastcgiParam& p,
                                              const config::Server& server) {
    std::vector<std::string> found = constant_directories(p.value, server, model_);
    if (p.name == "DOCUMENT_ROOT" || !p.value.is_literal()) return found;
    for (std::string& path : found) path = trimmed(path.substr(0, path.rfind('/') + 1));
    return found;
  }

  std::vector<uint32_t> passes_to(const config::LocConf& conf) const {
    std::vector<uint32_t> ids;
    if (!conf.fastcgi.pass) return ids;
    const config::FastcgiPass& pass = *conf.fastcgi.pass;
    if (pass.upstream < model_.upstreams.size()) {
      for (const auto& server : model_.upstreams[pass.upstream].servers) {
        if (auto id = config::site_of_address(snap_, server.address)) ids.push_back(*id);
      }
    } else if (pass.address.is_literal()) {
      if (auto id = config::site_of_address(snap_, pass.address.literal())) ids.push_back(*id);
    }
    return ids;
  }

  void add(size_t site, const std::vector<std::string>& paths, const char* origin,
           bool by_default = false) {
    for (const std::string& path : paths) {
      if (!path.starts_with('/') || path == "/") continue;
      auto& trees = out_[site];
      const auto known =
          std::find_if(trees.begin(), trees.end(), [&](const Tree& t) { return t.path == path; });
      if (known != trees.end()) {
        known->by_default = known->by_default && by_default;
        continue;
      }
      trees.push_back({path, Tree::Access::kWrite, Tree::Need::kMay, origin});
      trees.back().by_default = by_default;
    }
  }

  // A root that only a request can name.
  void add_unknown(size_t site) {
    const bool known = std::any_of(out_[site].begin(), out_[site].end(),
                                   [](const Tree& t) { return t.path == "/"; });
    if (!known) out_[site].push_back({"/", Tree::Access::kRead, Tree::Need::kMay, "root"});
  }

  const config::Model& model_;
  const config::Snapshot& snap_;
  std::vector<std::vector<Tree>> out_;
  std::unordered_map<uint32_t, size_t> by_id_;
};

// Settings of PHP that name files or directories, as lists separated by ':'.
constexpr std::string_view kPathSettings[] = {
    "session.save_path",  "upload_tmp_dir",    "error_log",           "sys_temp_dir",
    "opcache.file_cache", "open_basedir",      "include_path",        "auto_prepend_file",
    "auto_append_file",   "doc_root",          "soap.wsdl_cache_dir", "mail.log",
    "xdebug.output_dir",  "curl.cainfo",       "openssl.cafile",      "openssl.capath",
    "browscap",           "opcache.error_log", "extension_dir",
};

// "2;0600;/var/sessions" -> "/var/sessions"
std::string_view after_numbers(std::string_view value) {
  const size_t semicolon = value.rfind(';');
  return semicolon == std::string_view::npos ? value : value.substr(semicolon + 1);
}

void add_list(std::string_view value, std::string_view name, std::vector<Tree>* out) {
  while (!value.empty()) {
    const size_t end = std::min(value.find(':'), value.size());
    std::string path = trimmed(std::string(value.substr(0, end)));
    value.remove_prefix(std::min(end + 1, value.size()));
    if (!path.starts_with('/') || sandbox::is_common(path)) continue;
    out->push_back({std::move(path), Tree::Access::kWrite, Tree::Need::kMay, std::string(name)});
  }
}

bool is_home(const std::string& home) {
  if (!home.starts_with('/') || sandbox::is_common(trimmed(home))) return false;
  for (const char* system : {"/usr", "/bin", "/sbin", "/dev", "/proc", "/sys", "/etc", "/run",
                             "/var/run", "/nonexistent", "/var/cache"}) {
    if (sandbox::is_within(home, system)) return false;
  }
  return true;
}

}  // namespace

std::vector<std::string> constant_directories(const config::Template& value,
                                              const config::Server& server,
                                              const config::Model& model) {
  std::vector<Prefix> found;
  prefixes(value, server, model, 0, &found);
  std::vector<std::string> out;
  for (Prefix& p : found) {
    if (!p.text.starts_with('/')) continue;
    if (!p.whole && !slash_follows(value)) p.text.resize(p.text.rfind('/') + 1);
    std::string path = trimmed(std::move(p.text));
    if (path != "/" && std::find(out.begin(), out.end(), path) == out.end()) {
      out.push_back(std::move(path));
    }
  }
  return out;
}

std::vector<std::vector<Tree>> server_trees(const config::Model& model,
                                            const config::Snapshot& snap) {
  return Collector(model, snap).run();
}

std::vector<Tree> pool_trees(const config::PoolConfig& pool, const sys::Identity& who) {
  std::vector<Tree> out;
  auto add = [&](const std::string& path, Tree::Access access, Tree::Need need,
                 const char* origin) {
    if (!path.empty()) out.push_back({trimmed(path), access, need, origin});
  };
  for (const std::string& path : pool.sandbox_write) {
    add(path, Tree::Access::kWrite, Tree::Need::kMust, "sandbox.write");
  }
  for (const std::string& path : pool.sandbox_read) {
    add(path, Tree::Access::kRead, Tree::Need::kMust, "sandbox.read");
  }
  add(pool.chroot, Tree::Access::kWrite, Tree::Need::kMust, "chroot");
  if (pool.chroot.empty() && !sandbox::is_common(trimmed(pool.chdir))) {
    add(pool.chdir, Tree::Access::kWrite, Tree::Need::kMay, "chdir");
  }
  if (is_home(who.home)) add(who.home, Tree::Access::kWrite, Tree::Need::kMay, "home");
  for (const config::PhpDefine& d : pool.php_values) {
    if (std::find(std::begin(kPathSettings), std::end(kPathSettings), d.name) !=
        std::end(kPathSettings)) {
      add_list(after_numbers(d.value), d.name, &out);
    }
  }
  return out;
}

}  // namespace bulkhead::master
