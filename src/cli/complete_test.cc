#include "cli/complete.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "cli/describe.h"

namespace bulkhead::cli {
namespace {

class Complete : public testing::Test {
 protected:
  Complete() {
    CLI::App* add = app_.add_subcommand("add", "make one");
    add->add_option("name", text_, "its name")->type_name("SITE");
    add->add_option("--www", text_, "what www does")->check(CLI::IsMember({"redirect", "none"}));
    add->add_option("--alias", list_, "another name");
    add->add_option("--etc", text_, "configuration")->type_name("DIR");
    add->add_flag("--json,-j", flag_, "as JSON");
    app_.add_subcommand("adopt", "take one over");
    app_.add_subcommand("cron", "jobs")->add_subcommand("list", "print them");
    CLI::App* set = app_.add_subcommand("set", "change one");
    set->add_option("name", text_, "")->type_name("SITE");
    set->add_option("changes", list_, "")->type_name("KEY=VALUE");
    root_ = describe(app_);
  }

  std::string next(std::vector<std::string> words) {
    return to_text(complete(root_, words, [this](std::string_view kind, const Typed& typed) {
      if (auto etc = typed.find("--etc"); etc != typed.end()) etc_ = etc->second;
      if (kind == "SITE") return std::vector<Candidate>{{"blog.test", ""}, {"shop.test", "a shop"}};
      if (kind == "KEY=VALUE") return std::vector<Candidate>{{"memory=", "of the site"}};
      return std::vector<Candidate>();
    }));
  }

  CLI::App app_{"test", "test"};
  std::string text_, etc_;
  std::vector<std::string> list_;
  bool flag_ = false;
  Command root_;
};

TEST_F(Complete, OffersCommandsByTheirBeginning) {
  EXPECT_EQ(next({"ad"}), "add\tmake one\nadopt\ttake one over\n");
  EXPECT_EQ(next({"cron", ""}), "list\tprint them\n");
  EXPECT_EQ(next({"nothing", "like"}), "");
}

TEST_F(Complete, OffersEachOptionOnceUnlessItMayBeRepeated) {
  EXPECT_EQ(next({"add", "--a"}), "--alias\tanother name\n");
  EXPECT_EQ(next({"add", "--alias", "x", "--a"}), "--alias\tanother name\n");
  EXPECT_EQ(next({"add", "--j"}), "--json\tas JSON\n");
  EXPECT_EQ(next({"add", "--json", "--j"}), "");
  EXPECT_EQ(next({"add", "-j", "--j"}), "") << "by its other name";
}

TEST_F(Complete, OffersTheWordsThatACheckAllows) {
  EXPECT_EQ(next({"add", "--www", ""}), "redirect\nnone\n");
  EXPECT_EQ(next({"add", "--www=r"}), "--www=redirect\n");
}

TEST_F(Complete, OffersNamesAndFilesByTheKindOfAValue) {
  EXPECT_EQ(next({"add", "s"}), "shop.test\ta shop\n");
  EXPECT_EQ(next({"add", "--etc", "/e"}), ":directory\n");
  EXPECT_EQ(next({"add", "--etc=/e"}), ":directory\n");
  next({"add", "--etc", "/else", ""});
  EXPECT_EQ(etc_, "/else");
}

TEST_F(Complete, TakesNoOptionAfterTwoDashes) {
  EXPECT_EQ(next({"add", "--", "--a"}), "");
  EXPECT_EQ(next({"add", "--", "b"}), "blog.test\n");
}

TEST_F(Complete, SaysThatAWordGoesOn) {
  EXPECT_EQ(next({"set", "blog.test", "mem"}), "memory=\tof the site\n:nospace\n");
  EXPECT_EQ(next({"set", "blog.test", "memory=1G", "mem"}), "memory=\tof the site\n:nospace\n");
}

TEST_F(Complete, GivesAwayWhatAnotherProgramParses) {
  root_.commands[0].program = "bulkhead-other";
  const Answer answer = complete(root_, std::vector<std::string>{"add", "--x", "y", ""},
                                 [](auto...) { return std::vector<Candidate>(); });
  EXPECT_EQ(answer.program, "bulkhead-other");
  EXPECT_EQ(answer.words, (std::vector<std::string>{"--x", "y", ""}));
}

TEST_F(Complete, EndsOptionsWhereACommandOfOthersBegins) {
  Command exec{"exec", "", {{{"--env"}, {"TEXT", {}}, "a variable", true}}, {}, {}, true, ""};
  exec.positionals = {{{"SITE", {}}, false}, {{"COMMAND", {}}, false}, {{"FILE", {}}, true}};
  root_.commands.push_back(exec);
  EXPECT_EQ(next({"exec", "--e"}), "--env\ta variable\n");
  EXPECT_EQ(next({"exec", "blog.test", "--e"}), ":command\n");
  EXPECT_EQ(next({"exec", "blog.test", "ls", "-"}), ":file\n");
}

TEST(CompleteText, LeavesOutNamesThatWouldBeSomethingElse) {
  Answer answer;
  answer.candidates = {{":file", ""}, {"a\nb", ""}, {"a\x1b[2J", ""}, {"good", "one\ntwo"}};
  EXPECT_EQ(to_text(answer), "good\tone\n");
}

TEST(FromUsage, ReadsTheTextsOfBothPrograms) {
  const Command nginx = from_usage(
      "nginx", "",
      "Usage: nginx [-?h]\n\n  -?,-h         : this help\n  -s signal     : send a signal\n"
      "  -c filename   : set configuration file\n  -g directives : set global directives\n");
  ASSERT_EQ(nginx.options.size(), 4u);
  EXPECT_EQ(nginx.options[0].names, (std::vector<std::string>{"-?", "-h"}));
  EXPECT_EQ(nginx.options[1].value.words.size(), 4u);
  EXPECT_EQ(nginx.options[2].value.kind, "FILE");
  EXPECT_EQ(nginx.options[3].value.kind, "TEXT");
  const Command fpm = from_usage("php-fpm", "",
                                 "  -n               No php.ini file will be used\n"
                                 "  -d foo[=bar]     Define INI entry\n"
                                 "  -p, --prefix <dir>\n                   Another prefix\n");
  ASSERT_EQ(fpm.options.size(), 3u);
  EXPECT_EQ(fpm.options[0].value.kind, "");
  EXPECT_EQ(fpm.options[1].value.kind, "TEXT");
  EXPECT_EQ(fpm.options[2].names, (std::vector<std::string>{"-p", "--prefix"}));
  EXPECT_EQ(fpm.options[2].help, "Another prefix");
}

}  // namespace
}  // namespace bulkhead::cli
