#include "cli/usage.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <vector>

namespace bulkhead::cli {
namespace {

class Usage : public testing::Test {
 protected:
  Usage() {
    CLI::App* add = app_.add_subcommand("add", "make one");
    add->add_option("name", text_, "its name")->required();
    add->add_option("--template", text_, "what it is made from");
    app_.add_subcommand("list", "every one");
    app_.add_subcommand("cron", "jobs")->require_subcommand(1)->add_subcommand("remove", "one");
  }
  std::string told(std::vector<std::string> words) {
    std::vector<char*> raw;
    for (std::string& word : words) raw.push_back(word.data());
    return usage_fault(app_, raw, "name is required");
  }
  CLI::App app_{"", "prog"};
  std::string text_;
};

TEST_F(Usage, NamesTheCommandThatWasMeant) {
  EXPECT_EQ(told({"addd", "x"}),
            "prog: there is no command \"addd\"; did you mean \"add\"? See: prog --help");
  EXPECT_EQ(told({"export", "x"}), "prog: there is no command \"export\". See: prog --help");
  EXPECT_EQ(told({"cron", "remvoe"}),
            "prog cron: there is no command \"remvoe\"; did you mean "
            "\"remove\"? See: prog cron --help");
}

TEST_F(Usage, NamesTheOptionThatWasMeant) {
  EXPECT_EQ(told({"add", "x", "--tmplate=php"}),
            "prog add: there is no option \"--tmplate\"; did you mean \"--template\"? See: prog "
            "add --help");
  // A value is no option, and no command.
  EXPECT_EQ(told({"add", "--template", "list"}),
            "prog add: name is required. See: prog add --help");
}

TEST_F(Usage, SaysWhatIsMissing) {
  EXPECT_EQ(told({}), "prog: a command is missing: one of add, list, cron. See: prog --help");
  EXPECT_EQ(told({"cron"}),
            "prog cron: a command is missing: one of remove. See: prog cron --help");
}

}  // namespace
}  // namespace bulkhead::cli
