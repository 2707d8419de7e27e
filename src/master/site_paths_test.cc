#include "master/site_paths.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/nginx_parser.h"

namespace bulkhead::master {
namespace {

using sandbox::Tree;

// Paths of every tree with the given origin, for the first pool of a configuration.
struct Paths {
  std::vector<std::string> of(size_t site) const {
    std::vector<std::string> out;
    for (const Tree& t : trees[site]) out.push_back(t.path);
    std::sort(out.begin(), out.end());
    return out;
  }
  std::vector<std::vector<Tree>> trees;
};

Paths paths_of(const std::string& server) {
  const std::string text = "events {}\nhttp {\n" + server + "\n}\n";
  config::FileSource source;
  source.read = [&](const std::string&) -> Result<std::string> { return text; };
  source.glob = [](const std::string&) { return std::vector<std::string>(); };
  auto ast = config::parse_file("/test.conf", {}, source);
  EXPECT_TRUE(ast);
  auto model = config::build_model(*ast, {}, nullptr);
  EXPECT_TRUE(model) << (model ? "" : model.error().describe());
  config::FpmConfig pools;
  config::PoolConfig& pool = pools.pools.emplace_back();
  pool.name = pool.user = "a";
  pool.listen = "/run/a.sock";
  config::Snapshot snapshot;
  EXPECT_TRUE(config::pair_sites(**model, &pools, &snapshot, nullptr));
  return {server_trees(**model, snapshot)};
}

constexpr const char* kPass = "location / { fastcgi_pass unix:/run/a.sock; }";
using Texts = std::vector<std::string>;

TEST(SitePaths, RootsAndAliasesOfWhatPassesToThePool) {
  const Paths p =
      paths_of(std::string("server { root /srv/a; location /img/ { alias /srv/img/; }") +
               "location ~ php { fastcgi_pass unix:/run/a.sock; } }");
  EXPECT_EQ(p.of(0), (Texts{"/srv/a", "/srv/img"}));
}

TEST(SitePaths, AVariableEndsAtTheLastSlashBeforeIt) {
  EXPECT_EQ(paths_of(std::string("server { root /srv/www/${host}_x/public; ") + kPass + " }").of(0),
            (Texts{"/srv/www"}));
}

TEST(SitePaths, AVariableOfSetStandsForItsValues) {
  EXPECT_EQ(paths_of(std::string("server { set $r /srv/one; if ($host = b) { set $r /srv/two; } "
                                 "root $r/public; ") +
                     kPass + " }")
                .of(0),
            (Texts{"/srv/one/public", "/srv/two/public"}));
}

TEST(SitePaths, ARootThatOnlyARequestNamesIsMarked) {
  EXPECT_EQ(paths_of(std::string("server { root $http_x; ") + kPass + " }").of(0), (Texts{"/"}));
}

TEST(SitePaths, ScriptsNamedAsAWholeStandForTheirDirectory) {
  const Paths p = paths_of(std::string("server { root /srv/a; fastcgi_param SCRIPT_FILENAME "
                                       "/opt/app/index.php; ") +
                           kPass + " }");
  EXPECT_EQ(p.of(0), (Texts{"/opt/app", "/srv/a"}));
}

TEST(SitePaths, APoolsOwnPathsAndHome) {
  config::PoolConfig pool;
  pool.sandbox_read = {"/data/shared/"};
  pool.chdir = "/";
  pool.php_values = {{"open_basedir", "/srv/x:/tmp", config::PhpDefine::Kind::kAdminValue},
                     {"session.save_path", "2;0600;/srv/s", config::PhpDefine::Kind::kValue},
                     {"memory_limit", "/no/path", config::PhpDefine::Kind::kValue}};
  sys::Identity who;
  who.home = "/srv/home";
  Texts paths;
  for (const Tree& t : pool_trees(pool, who)) paths.push_back(t.path);
  EXPECT_EQ(paths, (Texts{"/data/shared", "/srv/home", "/srv/x", "/srv/s"}));
  for (const char* home : {"/", "/var/www", "/nonexistent", "/usr/sbin", ""}) {
    who.home = home;
    EXPECT_EQ(pool_trees(pool, who).size(), 3u) << home;
  }
}

}  // namespace
}  // namespace bulkhead::master
