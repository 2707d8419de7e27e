#include "import/survey.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "config/nginx_parser.h"
#include "import/directives.h"
#include "import/ports.h"
#include "master/load.h"
#include "sites/names.h"
#include "sites/tree.h"

namespace bulkhead::import {
namespace {

master::Options options_of(const std::string& nginx, const std::string& fpm) {
  master::Options options;
  options.nginx_conf = nginx;
  options.fpm_conf = fpm;
  options.prefix = master::kNginxPrefix;
  options.test = master::Test::kTest;
  return options;
}

const config::Directive* find_server(const std::vector<config::Directive>& items, uint32_t file,
                                     uint32_t line) {
  for (const config::Directive& d : items) {
    if (d.name == "server" && d.is_block && d.file == file && d.line == line) return &d;
    if (d.name != "http") continue;
    if (const auto* found = find_server(d.children, file, line)) return found;
  }
  return nullptr;
}

// In a command that is printed for a shell.
std::string quoted(const std::string& text) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '.' || c == '-' || c == '_' || c == ':';
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string template_for(const ServedSite& site) {
  if (site.pool.empty()) return "static";
  const std::string above = site.root.substr(0, site.root.rfind('/'));
  if (sites::exists(site.root + "/wp-load.php")) return "wordpress";
  if (sites::exists(above + "/artisan")) return "laravel";
  if (sites::exists(above + "/bin/console")) return "symfony";
  if (sites::exists(site.root + "/core/lib/Drupal.php")) return "drupal";
  if (sites::exists(site.root + "/LocalSettings.php")) return "mediawiki";
  return "php";
}

// Takes the block out of the imported file (a copy stays), then makes a site of the same name.
void plan_split(const ServedSite& site, const std::string& state,
                std::vector<std::string>* commands) {
  const auto name = std::find_if(site.names.begin(), site.names.end(), [](const auto& text) {
    return text.find('.') != std::string::npos && sites::checked_site_name(text).has_value();
  });
  if (name == site.names.end() || site.root.empty() || site.end_line <= site.line) {
    commands->push_back("# " + (site.names.empty() ? "a server" : site.names[0]) + " at " +
                        site.file + ":" + std::to_string(site.line) +
                        " has no plain name and root: by hand, with a pool of its own");
    return;
  }
  // Not beside the file: `include sites-enabled/*` would read the copy too.
  commands->push_back("cp -L " + quoted(site.file) + " " +
                      quoted(state + "/" + *name + ".before-split"));
  commands->push_back("sed -i --follow-symlinks " + std::to_string(site.line) + "," +
                      std::to_string(site.end_line) + "d " + quoted(site.file));
  commands->push_back("bulkhead reload");
  std::string add = "bulkhead site add " + quoted(*name) + " --template " + template_for(site);
  for (const std::string& other : site.names) {
    if (other != *name && sites::checked_host_name(other)) add += " --alias " + quoted(other);
  }
  for (const std::string& listen : site.listens) add += " --listen " + quoted(listen);
  commands->push_back(add);
  commands->push_back("bulkhead site copy-in " + quoted(*name) + " --from " + quoted(site.root));
}

class Survey {
 public:
  Survey(const std::string& state, Report* report) : state_(state), report_(*report) {}

  void of(const master::Loaded& loaded, const SearchBounds& bounds) {
    list_sites(loaded);
    find_shared();
    find_sockets(loaded);
    std::vector<std::string> roots;
    for (const ServedSite& site : report_.sites) {
      const bool known = std::find(roots.begin(), roots.end(), site.root) != roots.end();
      if (!site.root.empty() && !known) roots.push_back(site.root);
    }
    look_for_secrets(roots, bounds, &report_);
    find_keys(loaded.snapshot.ast.top, loaded.snapshot.ast);
    for (const auto& warning : loaded.warnings) report_.notes.push_back(warning.describe());
    if (loaded.fpm) {
      for (const auto& message : loaded.fpm->messages) report_.notes.push_back(message.text);
      for (const auto& message : config::fpm_not_in_force(*loaded.fpm)) {
        report_.notes.push_back(message.text);
      }
    }
    for (const config::Listen& listen : loaded.model->listens) {
      if (listen.ssl || listen.quic || listen.served_by != config::kNone) continue;
      if (is_taken(listen.sockaddr)) report_.taken.push_back(listen.text);
    }
  }

 private:
  void list_sites(const master::Loaded& loaded) {
    const auto& ast = loaded.snapshot.ast;
    for (size_t i = 0; i < loaded.model->servers.size(); ++i) {
      const config::Server& server = *loaded.model->servers[i];
      ServedSite site;
      for (const config::ServerName& name : server.names) {
        if (!name.text.empty()) site.names.push_back(name.text);
      }
      for (uint32_t listen : server.listens) {
        const config::Listen& one = loaded.model->listens[listen];
        const bool closed = one.ssl || one.quic;
        if (!closed) site.listens.push_back(one.text);
      }
      if (server.root && server.root->conf.root.is_literal()) {
        site.root = server.root->conf.root.literal();
      }
      const uint32_t id =
          i < loaded.snapshot.opener_of_server.size() ? loaded.snapshot.opener_of_server[i] : 0;
      if (id > 0 && id <= loaded.snapshot.sites.size()) {
        const config::Site& opener = loaded.snapshot.sites[id - 1];
        site.user = opener.user;
        site.pool = opener.has_pool ? opener.name : "";
      }
      site.file = server.file < ast.files.size() ? ast.files[server.file].path : "";
      site.line = server.line;
      const auto* block = find_server(ast.top, server.file, server.line);
      site.end_line = block == nullptr ? 0 : block->end_line;
      report_.sites.push_back(std::move(site));
    }
  }

  // Blocks with one root are one site (its https and www forms).
  void find_shared() {
    std::map<std::string, std::vector<size_t>> by_user;
    for (size_t i = 0; i < report_.sites.size(); ++i) {
      const ServedSite& site = report_.sites[i];
      auto& list = by_user[site.user];
      const bool same = std::any_of(list.begin(), list.end(), [&](size_t other) {
        return report_.sites[other].root == site.root;
      });
      if (!site.root.empty() && !same) list.push_back(i);
    }
    for (auto& [user, list] : by_user) {
      if (list.size() < 2) continue;
      SharedUser shared{user, std::move(list), {}};
      // From the last in a file to the first: lines above stay where they are.
      std::vector<size_t> rest(shared.sites.begin() + 1, shared.sites.end());
      std::stable_sort(rest.begin(), rest.end(), [&](size_t a, size_t b) {
        return report_.sites[a].line > report_.sites[b].line;
      });
      for (size_t index : rest) plan_split(report_.sites[index], state_, &shared.commands);
      report_.shared.push_back(std::move(shared));
    }
  }

  void find_sockets(const master::Loaded& loaded) {
    if (!loaded.fpm) return;
    for (const config::PoolConfig& pool : loaded.fpm->pools) {
      if (!pool.listen.starts_with('/')) continue;
      const unsigned long said = std::strtoul(pool.listen_mode.c_str(), nullptr, 8);
      struct stat st {};
      const bool open_now = ::lstat(pool.listen.c_str(), &st) == 0 && S_ISSOCK(st.st_mode) &&
                            (st.st_mode & 0006) == 0006;
      if ((said & 0006) != 0006 && !open_now) continue;
      report_.sockets.push_back(
          {pool.name, pool.listen, pool.file + ":" + std::to_string(pool.line)});
    }
  }

  void find_keys(const std::vector<config::Directive>& items, const config::Ast& ast) {
    for (const config::Directive& d : items) {
      if (d.name == "ssl_certificate_key" && d.args.size() == 1) {
        const std::string& path = d.args[0].text;
        look_at_key(path.starts_with('/') ? path : ast.conf_prefix + path, &report_);
      }
      find_keys(d.children, ast);
    }
  }

  const std::string& state_;
  Report& report_;
};

}  // namespace

Report survey(const std::string& nginx, const std::string& fpm, const std::string& state,
              const SearchBounds& bounds) {
  Report report{nginx, fpm, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  const master::Options options = options_of(nginx, fpm);
  // The tree alone, first: every directive is looked at, also when one of them stops the rest.
  auto ast = config::parse_file(nginx, {options.prefix, "", config::Dialect::kBulkhead});
  if (!ast) {
    report.error = ast.error().describe();
    return report;
  }
  look_at_directives(*ast, &report);
  auto loaded = master::load(options);
  if (loaded) {
    Survey(state, &report).of(*loaded, bounds);
    return report;
  }
  if (loaded.error().nginx) report.error = loaded.error().nginx->describe();
  for (const auto& message : loaded.error().fpm) {
    (report.error += report.error.empty() ? "" : "; ") += message.text;
  }
  if (report.error.empty()) report.error = "the configuration cannot be used";
  return report;
}

}  // namespace bulkhead::import
