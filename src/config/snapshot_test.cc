#include "config/snapshot.h"

#include <gtest/gtest.h>

namespace bulkhead::config {
namespace {

PoolConfig pool(const std::string& name, const std::string& user, const std::string& listen) {
  PoolConfig p;
  p.name = name;
  p.user = user;
  p.listen = listen;
  p.max_children = 5;
  return p;
}

// A server with one location per address, each nested in the one before.
std::unique_ptr<Server> server(const std::vector<std::string>& addresses) {
  auto made = std::make_unique<Server>();
  made->root = std::make_unique<Location>();
  made->primary_name = "s";
  Location* parent = made->root.get();
  for (const std::string& address : addresses) {
    auto& child = parent->children.emplace_back(std::make_unique<Location>());
    child->conf.fastcgi.pass = FastcgiPass{};
    VarRef ref;
    ref.text = address;
    ref.kind = address.starts_with('$') ? RefKind::kUser : RefKind::kLiteral;
    child->conf.fastcgi.pass->address.parts = {ref};
    parent = child.get();
  }
  return made;
}

struct Pairing : ::testing::Test {
  Pairing() {
    pools.pools = {pool("a", "ua", "/run/a.sock"), pool("b", "ub", "127.0.0.1:9000"),
                   pool("a2", "ua", "[::1]:9001")};
    model.user = "www-data";
  }
  const Site& opener(size_t at) { return out.sites.at(out.opener_of_server.at(at) - 1); }
  void pair() { ASSERT_TRUE(pair_sites(model, &pools, &out, &warnings)); }

  Model model;
  FpmConfig pools;
  Snapshot out;
  std::vector<ConfigError> warnings;
};

TEST(Address, HasOneSpelling) {
  struct {
    const char *written, *expected;
  } rows[] = {
      {"unix:/run/x.sock", "unix:/run/x.sock"},
      {"/run/x.sock", "unix:/run/x.sock"},
      {"unix:/var/run/php//x.sock", "unix:/run/php/x.sock"},
      {"unix:/run/./x.sock", "unix:/run/x.sock"},
      {"9000", "*:9000"},
      {"*:9000", "*:9000"},
      {"0.0.0.0:9000", "*:9000"},
      {"127.0.0.1:9000", "127.0.0.1:9000"},
      {"LocalHost:9000", "127.0.0.1:9000"},
      {"[::1]:9000", "[::1]:9000"},
      {"[0:0:0::1]:9000", "[::1]:9000"},
      {"[bad", "[bad"},
      {"", "*"},
  };
  for (auto [written, expected] : rows) EXPECT_EQ(normalise_address(written), expected) << written;
}

TEST(Address, FindsThePoolThatListensEverywhere) {
  Snapshot s;
  s.sites.resize(2);
  for (uint32_t i : {0, 1}) {
    s.sites[i].id = 7 + i;
    s.sites[i].has_pool = true;
    s.sites[i].listen = i == 0 ? "9000" : "[::]:9001";
  }
  index_addresses(&s);
  EXPECT_EQ(site_of_address(s, "127.0.0.1:9000"), 7u);
  EXPECT_EQ(site_of_address(s, "localhost:9000"), 7u);
  EXPECT_EQ(site_of_address(s, "[::1]:9000"), 7u);
  EXPECT_EQ(site_of_address(s, "127.0.0.1:9001"), 8u);
  EXPECT_EQ(site_of_address(s, "192.0.2.1:9000"), std::nullopt);
  EXPECT_EQ(site_of_address(s, "127.0.0.1:9002"), std::nullopt);
  EXPECT_EQ(site_of_address(s, "unix:/x"), std::nullopt);
}

TEST_F(Pairing, OpensFilesAsThePoolAServerPassesTo) {
  model.servers.push_back(server({"unix:/run/a.sock"}));
  model.servers.push_back(server({"localhost:9000"}));
  model.servers.push_back(server({"$backend"}));
  model.servers.push_back(server({"127.0.0.1:9999"}));
  pair();
  EXPECT_EQ(opener(0).name, "a");
  EXPECT_EQ(opener(1).name, "b");
  EXPECT_EQ(opener(2).name, "@www-data");
  EXPECT_EQ(out.opener_of_server[2], out.opener_of_server[3]);
  EXPECT_FALSE(opener(3).has_pool);
  EXPECT_EQ(out.sites.size(), 5u);
  // "$backend" may be a Unix socket: somebody must be able to connect to it, opening no file.
  ASSERT_EQ(out.connector, out.sites.back().id);
  EXPECT_TRUE(out.sites.back().connects);
  EXPECT_EQ(out.sites.back().user, "www-data");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(Pairing, MakesAConnectorOnlyForUnixSocketsThatAreNoPools) {
  Upstream u;
  u.servers = {{.address = "192.0.2.1:9000"}, {.address = "unix:/run/a.sock"}};
  model.upstreams.push_back(u);
  model.servers.push_back(server({"unix:/run/a.sock"}));
  pair();
  EXPECT_EQ(out.connector, 0u);
  u.servers = {{.address = "unix:/run/foreign.sock"}};
  model.upstreams.push_back(u);
  pair();
  EXPECT_NE(out.connector, 0u);
}

TEST_F(Pairing, FollowsUpstreamsAndIfs) {
  Upstream u;
  u.servers = {{.address = "192.0.2.1:9000"}, {.address = "127.0.0.1:9000"}};
  model.upstreams.push_back(u);
  model.servers.push_back(server({}));
  auto inner = std::make_unique<Location>();
  inner->conf.fastcgi.pass = FastcgiPass{.address = {}, .upstream = 0};
  model.servers[0]->root->ifs.push_back(std::move(inner));
  pair();
  EXPECT_EQ(opener(0).name, "b");
}

TEST_F(Pairing, TakesTheFirstOfSeveralPoolsOfOneUser) {
  model.servers.push_back(server({"unix:/run/a.sock", "[::1]:9001"}));
  pair();
  EXPECT_EQ(opener(0).name, "a");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(Pairing, UsesTheMainUserAndWarnsWhenPoolsHaveSeveralUsers) {
  model.servers.push_back(server({"unix:/run/a.sock", "127.0.0.1:9000"}));
  pair();
  EXPECT_EQ(opener(0).name, "@www-data");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].text.find("(a, b)"), std::string::npos);
}

TEST_F(Pairing, LetsTheServersOwnUserDecide) {
  model.servers.push_back(server({"unix:/run/a.sock", "127.0.0.1:9000"}));
  model.servers[0]->user = "ub";
  model.servers.push_back(server({}));
  model.servers[1]->user = "uc";
  model.servers[1]->group = "gc";
  model.servers.push_back(server({"unix:/run/a.sock"}));
  model.servers[2]->user = "uc";
  pair();
  EXPECT_EQ(opener(0).name, "b");
  EXPECT_EQ(opener(1).user, "uc");
  EXPECT_EQ(opener(1).group, "gc");
  EXPECT_EQ(opener(2).group, "");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(Pairing, WorksWithoutPools) {
  model.servers.push_back(server({"unix:/run/a.sock"}));
  ASSERT_TRUE(pair_sites(model, nullptr, &out, nullptr));
  ASSERT_EQ(out.sites.size(), 1u);
  EXPECT_EQ(opener(0).name, "@www-data");
}

TEST_F(Pairing, SurvivesItsByteForm) {
  pools.pools[0].listen_allowed_clients = "127.0.0.1, ::1";
  pools.pools[0].status_path = "/status";
  model.servers.push_back(server({"unix:/run/a.sock"}));
  pair();
  out.generation = 1'000'000'000'000;
  out.resolved["localhost:9000"] = {"raw", std::string("\0x", 2)};
  out.role = "serve";
  out.loops = 2;
  out.pool_listen_sites = {1, 2, 3};
  out.build.default_pid = "pid";
  std::string bytes = serialise(out);
  auto read = deserialise_snapshot(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(serialise(*read), bytes);
  EXPECT_EQ(read->generation, out.generation);
  EXPECT_EQ(read->resolved, out.resolved);
  EXPECT_EQ(read->sites[0].allowed_clients, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_EQ(read->sites[0].status_paths, std::vector<std::string>{"/status"});
  EXPECT_EQ(site_of_address(*read, "/run/a.sock"), 1u);
  for (size_t size = 0; size < bytes.size(); size++)
    EXPECT_FALSE(deserialise_snapshot(std::string_view(bytes).substr(0, size)));
}

}  // namespace
}  // namespace bulkhead::config
