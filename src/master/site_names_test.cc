#include "master/site_names.h"

#include <gtest/gtest.h>

namespace bulkhead::master {
namespace {

using config::ServerName;

class SiteNames : public testing::Test {
 protected:
  SiteNames() {
    loaded_.model = std::make_unique<config::Model>();
    add_site(7, "shop", true);
    add_site(8, "blog", true);
    add_site(9, "@www-data", false);
    add_server(7, {{ServerName::Kind::kExact, "shop.example"},
                   {ServerName::Kind::kLeadingWildcard, "*.shop.example"},
                   {ServerName::Kind::kExact, "both.example"},
                   {ServerName::Kind::kRegex, "^x\\.example$"}});
    add_server(8, {{ServerName::Kind::kExact, "blog.example"},
                   {ServerName::Kind::kExact, "both.example"},
                   {ServerName::Kind::kExact, "shop"}});
  }
  void add_site(uint32_t id, const std::string& name, bool has_pool) {
    config::Site site;
    site.id = id;
    site.name = name;
    site.has_pool = has_pool;
    loaded_.snapshot.sites.push_back(std::move(site));
  }
  void add_server(uint32_t site, std::vector<std::pair<ServerName::Kind, std::string>> names) {
    auto server = std::make_unique<config::Server>();
    for (auto& [kind, text] : names) server->names.push_back({kind, std::move(text), {}, {}});
    loaded_.model->servers.push_back(std::move(server));
    loaded_.snapshot.opener_of_server.push_back(site);
  }
  // The site's id, or 0; `error_` says why.
  uint32_t find(std::string_view name, uint32_t only = 0) {
    auto site = find_site_named(loaded_, name, [only](const config::Site& candidate) {
      return only == 0 || candidate.id == only;
    });
    error_ = site ? "" : site.error().text;
    return site ? (*site)->id : 0;
  }
  Loaded loaded_;
  std::string error_;
};

TEST_F(SiteNames, FindsAPoolByItsNameBeforeAServerOfThatName) {
  EXPECT_EQ(find("shop"), 7u);
  EXPECT_EQ(find("SHOP"), 7u);
  EXPECT_EQ(find("@www-data"), 9u);
}

TEST_F(SiteNames, FindsASiteByTheNamesOfItsServers) {
  EXPECT_EQ(find("shop.example"), 7u);
  EXPECT_EQ(find("Blog.Example"), 8u);
  EXPECT_EQ(find("*.shop.example"), 7u);
  EXPECT_EQ(find("a.shop.example"), 0u);  // which pattern a host matches is front's to decide
  EXPECT_EQ(find("^x\\.example$"), 0u);
  EXPECT_EQ(find(""), 0u);
}

TEST_F(SiteNames, NamesTheSitesThatShareAName) {
  EXPECT_EQ(find("both.example"), 0u);
  EXPECT_NE(error_.find("several sites"), std::string::npos) << error_;
  EXPECT_NE(error_.find("shop"), std::string::npos);
  EXPECT_NE(error_.find("blog"), std::string::npos);
  EXPECT_EQ(find("both.example", 8), 8u);  // who may know only one of them means that one
}

TEST_F(SiteNames, SuggestsNearNames) {
  EXPECT_EQ(find("shpo"), 0u);
  EXPECT_EQ(error_, "no site is named \"shpo\"; near it: shop");
  EXPECT_EQ(find("blog.exmaple"), 0u);
  EXPECT_EQ(error_,
            "no site is named \"blog.exmaple\"; near it: blog.example, both.example, shop.example");
  EXPECT_EQ(find("nothing-like-it-at-all"), 0u);
  EXPECT_EQ(error_, "no site is named \"nothing-like-it-at-all\"; there is: shop, blog, @www-data");
}

TEST_F(SiteNames, TellsNobodyOfSitesTheyMayNotKnow) {
  for (std::string_view name : {"shop", "shop.example", "shpo", "both.example", "x"}) {
    EXPECT_EQ(find(name, 12345), 0u);
    EXPECT_EQ(error_, "no site is named \"" + std::string(name) +
                          "\"; you may use none of those that are served");
  }
  EXPECT_EQ(find("shop", 8), 8u);  // the server of that name, not the pool
}

TEST(EditDistance, CountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", "abc"), 0u);
  EXPECT_EQ(edit_distance("abc", "acb"), 1u);
  EXPECT_EQ(edit_distance("abc", "abd"), 1u);
  EXPECT_EQ(edit_distance("abc", "abcd"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

}  // namespace
}  // namespace bulkhead::master
