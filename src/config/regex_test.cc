#include "config/regex.h"

#include <gtest/gtest.h>

namespace bulkhead::config {
namespace {

RegexPtr compile(std::string_view pattern, RegexCase how = RegexCase::kSensitive) {
  auto regex = Regex::compile(pattern, how);
  EXPECT_TRUE(regex) << pattern;
  return regex ? *regex : nullptr;
}

TEST(Regex, GivesGroupsAndTheirNames) {
  RegexPtr regex = compile("^/(?<user>[a-z]+)(x)?/(.*)$");
  Captures found;
  ASSERT_EQ(regex->match("/bob/file", &found), MatchResult::kYes);
  ASSERT_EQ(found.count, 4U);
  EXPECT_EQ(found.at[2], 1U);
  EXPECT_EQ(found.at[3], 4U);
  EXPECT_EQ(found.at[4], std::string::npos);
  ASSERT_EQ(regex->named_groups().size(), 1U);
  EXPECT_EQ(regex->named_groups()[0].name, "user");
  EXPECT_EQ(regex->named_groups()[0].number, 1U);
  EXPECT_EQ(regex->group_count(), 3U);
}
TEST(Regex, MatchesCaseOnlyWhenAsked) {
  EXPECT_EQ(compile("a")->match("A", nullptr), MatchResult::kNo);
  EXPECT_EQ(compile("a", RegexCase::kInsensitive)->match("A", nullptr), MatchResult::kYes);
}
TEST(Regex, MatchesAnEmptySubject) {
  EXPECT_EQ(compile("^$")->match({}, nullptr), MatchResult::kYes);
  EXPECT_EQ(compile("x")->match({}, nullptr), MatchResult::kNo);
}
TEST(Regex, StopsAHostileMatch) {
  std::string subject(40, 'a');
  EXPECT_EQ(compile("^(a+)+$")->match(subject + "!", nullptr), MatchResult::kLimit);
  EXPECT_EQ(compile("^(a+)+$")->match(subject, nullptr), MatchResult::kYes);
}
TEST(Regex, KeepsTheFirstGroupsOfMany) {
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "(a)";
  Captures found;
  ASSERT_EQ(compile(pattern)->match(std::string(60, 'a'), &found), MatchResult::kYes);
  EXPECT_EQ(found.count, Captures::kMax);
}
TEST(Regex, NamesTheMistakeAndItsPlace) {
  EXPECT_EQ(Regex::compile("(a", RegexCase::kSensitive).error().text,
            "pcre2_compile() failed: missing closing parenthesis in \"(a\"");
  EXPECT_EQ(Regex::compile("a)b", RegexCase::kSensitive).error().text,
            "pcre2_compile() failed: unmatched closing parenthesis in \"a)b\" at \")b\"");
}
TEST(Regex, TakesBytesThatAreNotUtf8AsNoMatch) {
  EXPECT_EQ(compile("(*UTF8)^.$")->match("\xff", nullptr), MatchResult::kNo);
  EXPECT_EQ(compile("(*UTF8)^.$")->match("\xc3\xa4", nullptr), MatchResult::kYes);
}

}  // namespace
}  // namespace bulkhead::config
