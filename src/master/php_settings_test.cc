#include "master/php_settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace bulkhead::master {
namespace {

class PhpSettings : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/php-settings-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    std::filesystem::create_directory(directory_ + "/conf.d");
    ::setenv("PHP_INI_SCAN_DIR", (directory_ + "/conf.d").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("PHP_INI_SCAN_DIR");
    std::filesystem::remove_all(directory_);
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }
  [[nodiscard]] std::string now(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"-c", directory_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return php_settings("/usr/lib/bulkhead/bulkhead-php8.2", arguments);
  }
  std::string directory_;
};

TEST_F(PhpSettings, ChangeWithEveryFileThatPhpReads) {
  std::string none = now();
  write("php.ini", "precision=5\n");
  std::string one = now();
  EXPECT_NE(one, none);
  write("conf.d/20-x.ini", "precision=6\n");
  std::string two = now();
  EXPECT_NE(two, one);
  write("conf.d/20-x.ini", "precision = 6\n");
  EXPECT_NE(now(), two);
  EXPECT_EQ(now(), now());
  std::filesystem::remove(directory_ + "/conf.d/20-x.ini");
  EXPECT_EQ(now(), one);
}

TEST_F(PhpSettings, StayWithFilesThatPhpDoesNotRead) {
  std::string before = now();
  write("conf.d/readme.txt", "x");
  write("other.ini", "x");
  EXPECT_EQ(now(), before);
}

TEST_F(PhpSettings, StayWithoutAnyFile) {
  std::string before = now({"-n"});
  write("php.ini", "precision=5\n");
  EXPECT_EQ(now({"-n"}), before);
}

TEST_F(PhpSettings, FollowTheFileThatIsNamed) {
  write("mine.ini", "a=1\n");
  std::string before = php_settings("bulkhead-php8.2", {"-c", directory_ + "/mine.ini"});
  write("mine.ini", "a=12\n");
  EXPECT_NE(php_settings("bulkhead-php8.2", {"-c", directory_ + "/mine.ini"}), before);
}

}  // namespace
}  // namespace bulkhead::master
