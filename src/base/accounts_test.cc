// Names out of files: as getpwnam(3) would say it, or not at all.
#include "base/accounts.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace bulkhead {
namespace {

class Accounts : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bh-accounts-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    path_ = name;
    put("nsswitch.conf", "passwd: files\ngroup:\tfiles\n");
    put("passwd",
        "# comment\nroot:x:0:0:root:/root:/bin/sh\na:x:1001:1001::/home/a:/bin/false\n"
        "a:x:1:1:second:/:/\nbroken:x:no:1::/:/\nalso:x:1001:7::/:/\nshort:x:1\n");
    put("group", "root:x:0:\na:x:1001:\nmail:x:8:b,a\nweb:x:33:a\nbad:x:y:a\n");
    read_accounts_from(path_);
  }
  void TearDown() override {
    read_accounts_from("/etc");
    std::filesystem::remove_all(path_);
  }
  // As useradd does: a new file, renamed.
  void put(const std::string& name, const std::string& text) {
    std::ofstream(path_ + "/new") << text;
    std::filesystem::rename(path_ + "/new", path_ + "/" + name);
  }
  std::string path_;
};

TEST_F(Accounts, TheFirstLineOfANameCounts) {
  const UserRecord* a = user_of_files("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->uid, 1001u);
  EXPECT_EQ(a->gid, 1001u);
  EXPECT_EQ(a->home, "/home/a");
  EXPECT_EQ(a->shell, "/bin/false");
  EXPECT_EQ(user_of_files(uid_t{1001})->name, "a");
  EXPECT_EQ(*group_of_files("web"), 33u);
  EXPECT_EQ(*groups_of_files("a"), (std::vector<gid_t>{8, 33}));
  EXPECT_TRUE(groups_of_files("nobody-of-them")->empty());
}

TEST_F(Accounts, WhatIsNoLineOfTheFileIsNotThere) {
  for (const char* name : {"broken", "short", "", "x", "# comment"}) {
    EXPECT_EQ(user_of_files(name), nullptr) << name;
  }
  EXPECT_EQ(group_of_files("bad"), nullptr);
}

TEST_F(Accounts, AFileThatChangesIsReadAgain) {
  ASSERT_EQ(user_of_files("late"), nullptr);
  put("passwd", "late:x:2000:2000::/:/\n");
  ::usleep(1'500);
  ASSERT_NE(user_of_files("late"), nullptr);
  EXPECT_EQ(user_of_files("a"), nullptr);
}

TEST_F(Accounts, AreLeftToTheSystemWhereFilesDoNotComeFirst) {
  for (const char* rules :
       {"passwd: ldap files\ngroup: files\n", "passwd: files\ngroup: compat\n"}) {
    put("nsswitch.conf", rules);
    read_accounts_from(path_);
    EXPECT_EQ(user_of_files("a"), nullptr) << rules;
    EXPECT_EQ(group_of_files("web"), nullptr) << rules;
    EXPECT_EQ(groups_of_files("a"), nullptr) << rules;
  }
  // Where others come after, only their members are unknown.
  for (const char* rules : {"passwd: files ldap\ngroup: files ldap\n",
                            "passwd: files\ngroup: files\ninitgroups: ldap\n"}) {
    put("nsswitch.conf", rules);
    read_accounts_from(path_);
    EXPECT_NE(user_of_files("a"), nullptr) << rules;
    EXPECT_EQ(groups_of_files("a"), nullptr) << rules;
  }
}

TEST(AccountsOfThisMachine, AreWhatTheSystemSays) {
  ::setpwent();
  while (const passwd* entry = ::getpwent()) {
    const UserRecord* ours = user_of_files(entry->pw_name);
    if (ours == nullptr) continue;
    EXPECT_EQ(ours->uid, entry->pw_uid) << entry->pw_name;
    EXPECT_EQ(ours->home, entry->pw_dir);
    gid_t theirs[512];
    int count = 512;
    ASSERT_GE(::getgrouplist(entry->pw_name, entry->pw_gid, theirs, &count), 0);
    if (const auto* groups = groups_of_files(entry->pw_name)) {
      std::vector<gid_t> all{entry->pw_gid};
      for (gid_t gid : *groups) {
        if (std::find(all.begin(), all.end(), gid) == all.end()) all.push_back(gid);
      }
      EXPECT_EQ(all, std::vector<gid_t>(theirs, theirs + count)) << entry->pw_name;
    }
  }
  ::endpwent();
}

}  // namespace
}  // namespace bulkhead
