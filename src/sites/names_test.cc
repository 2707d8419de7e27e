#include "sites/names.h"

#include <gtest/gtest.h>

#include <set>

#include "sites/site_files.h"

namespace bulkhead::sites {
namespace {

std::string derive(const std::string& site, const std::set<std::string>& taken = {}) {
  return derive_user(site, [&](const std::string& name) { return taken.contains(name); });
}

TEST(Names, AreLowerCaseHostNames) {
  EXPECT_EQ(*checked_site_name("Blog.Example.COM"), "blog.example.com");
  EXPECT_EQ(*checked_host_name("*.example.com"), "*.example.com");
  for (const char* wrong :
       {"", ".", "a..b", ".a", "a.", "-a.b", "a-.b", "a/b", "../etc", "a b", "a;b", "a\nb", "*.a.b",
        "b\xc3\xbc"
        "cher.example"}) {
    EXPECT_FALSE(checked_site_name(wrong)) << wrong;
  }
  EXPECT_FALSE(checked_host_name("a.*.b"));
  EXPECT_TRUE(checked_site_name(std::string(63, 'a') + ".b"));
  EXPECT_FALSE(checked_site_name(std::string(64, 'a') + ".b"));
  EXPECT_FALSE(checked_site_name(std::string(60, 'a') + "." + std::string(60, 'b')));
}

TEST(Names, MakeUsersThatUseraddTakes) {
  EXPECT_EQ(derive("blog.example.com"), "blog-example-com");
  EXPECT_EQ(derive("1st.example"), "s-1st-example");
  EXPECT_EQ(derive("a_b.c"), "a-b-c");
  const std::string left = derive("a-very-long-name-of-a-site.example.com");
  const std::string right = derive("a-very-long-name-of-a-site.example.org");
  EXPECT_EQ(left.size(), kUserNameMax);
  EXPECT_NE(left, right);
  for (const auto& name : {left, right, derive("1.2")}) EXPECT_TRUE(check_user_name(name));
}

TEST(Names, ThatCollideGetANumber) {
  EXPECT_EQ(derive("a.b", {"a-b"}), "a-b-2");
  EXPECT_EQ(derive("a.b", {"a-b", "a-b-2"}), "a-b-3");
  const std::string full = derive(std::string(32, 'x'));
  const std::string second = derive(std::string(32, 'x'), {full});
  EXPECT_EQ(second.size(), kUserNameMax);
  EXPECT_TRUE(second.ends_with("-2"));
}

TEST(Names, OfUsersAreCheckedOnBothSidesOfTheLimit) {
  EXPECT_TRUE(check_user_name(std::string(32, 'a')));
  EXPECT_FALSE(check_user_name(std::string(33, 'a')));
  for (const char* wrong : {"", "1a", "-a", "A", "a b", "a:b", "root;"}) {
    EXPECT_FALSE(check_user_name(wrong)) << wrong;
  }
}

TEST(PoolText, KeepsWhatTheAdministratorWrote) {
  const std::string text = "; mine\n[a]\nuser = u\n limit.memory=1G ; why\nenv[A] = b\n";
  EXPECT_EQ(*with_pool_value(text, "limit.memory", "2G"),
            "; mine\n[a]\nuser = u\nlimit.memory = 2G\nenv[A] = b\n");
  EXPECT_EQ(*with_pool_value(text, "limit.cpu", "50%"), text + "limit.cpu = 50%\n");
  EXPECT_EQ(*with_pool_value(text, "env[A]", ""),
            "; mine\n[a]\nuser = u\n limit.memory=1G ; why\n");
  EXPECT_EQ(*with_pool_value("[a]", "x", "1"), "[a]\nx = 1\n");
}

TEST(PoolText, NoValueLeavesItsLine) {
  EXPECT_EQ(*pool_line("env[A]", "a b;c=d"), "env[A] = \"a b;c=d\"\n");
  EXPECT_EQ(*pool_line("env[A]", ""), "env[A] = \"\"\n");
  for (const char* wrong : {"a\nuser = root", "a\"b", "$HOME", "a\\", "\x7f\x01"}) {
    EXPECT_FALSE(pool_line("env[A]", wrong)) << wrong;
  }
}

}  // namespace
}  // namespace bulkhead::sites
