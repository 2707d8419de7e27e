#include "config/lexer.h"

#include <gtest/gtest.h>

namespace bulkhead::config {
namespace {

std::vector<std::string> words(std::string_view text) {
  Lexer lexer(text);
  auto statement = lexer.next();
  std::vector<std::string> out;
  if (!statement) return {"ERROR " + statement.error().text};
  for (const Word& word : statement->words) out.push_back(word.text);
  return out;
}
using Words = std::vector<std::string>;

TEST(Lexer, SplitsAtBlanksAndEndsAtASemicolon) {
  EXPECT_EQ(words(" a\tb\r\nc ;d"), (Words{"a", "b", "c"}));
}
TEST(Lexer, SkipsCommentsButNotAHashInsideAWord) {
  EXPECT_EQ(words("# x;\na b#c; # d"), (Words{"a", "b#c"}));
}
TEST(Lexer, KeepsWhatQuotesHold) {
  EXPECT_EQ(words("a \"b ;{}# c\" 'd \" e';"), (Words{"a", "b ;{}# c", "d \" e"}));
}
TEST(Lexer, UndoesOnlyTheEscapesOfTheLanguage) {
  EXPECT_EQ(words(R"(a "x\"y\\z\tq\n\r" b\.c 'it\'s' \d;)"),
            (Words{"a", "x\"y\\z\tq\n\r", "b\\.c", "it's", "\\d"}));
}
TEST(Lexer, KeepsAnEscapedBlankAndBackslashInAWord) {
  EXPECT_EQ(words("a b\\ c;"), (Words{"a", "b\\ c"}));
}
TEST(Lexer, LetsABraceFollowADollar) {
  EXPECT_EQ(words("a ${b}c x$${d};"), (Words{"a", "${b}c", "x$${d}"}));
}
TEST(Lexer, MarksQuotedWords) {
  Lexer lexer("a \"b\";");
  auto statement = lexer.next();
  ASSERT_TRUE(statement);
  EXPECT_FALSE(statement->words[0].quoted);
  EXPECT_TRUE(statement->words[1].quoted);
}
TEST(Lexer, LetsAParenthesisFollowAQuotedWord) {
  EXPECT_EQ(words("if ($a = \"b\") {"), (Words{"if", "($a", "=", "b", ")"}));
}
TEST(Lexer, CountsTheLineOfTheTerminator) {
  Lexer lexer("a\nb\n\"c\nd\"\n;\ne {");
  auto first = lexer.next();
  auto second = lexer.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->line, 5U);
  EXPECT_EQ(second->line, 6U);
  EXPECT_EQ(second->end, Statement::End::kOpen);
}
TEST(Lexer, TellsEndsApart) {
  Lexer lexer("a;b{}");
  EXPECT_EQ(lexer.next()->end, Statement::End::kSemicolon);
  EXPECT_EQ(lexer.next()->end, Statement::End::kOpen);
  EXPECT_EQ(lexer.next()->end, Statement::End::kClose);
  EXPECT_EQ(lexer.next()->end, Statement::End::kEof);
}
TEST(Lexer, RefusesWhatNginxRefuses) {
  EXPECT_EQ(words("a b"), Words{"ERROR unexpected end of file, expecting \";\" or \"}\""});
  EXPECT_EQ(words("'a"), Words{"ERROR unexpected end of file, expecting \";\" or \"}\""});
  EXPECT_EQ(words("'a'b;"), Words{"ERROR unexpected \"b\""});
  EXPECT_EQ(words(";"), Words{"ERROR unexpected \";\""});
  EXPECT_EQ(words("{"), Words{"ERROR unexpected \"{\""});
  EXPECT_EQ(words("a }"), Words{"ERROR unexpected \"}\""});
}
TEST(Lexer, LimitsAWordAtBothSides) {
  EXPECT_EQ(words(std::string(kWordBytesMax - 1, 'x') + ";").size(), 1U);
  EXPECT_EQ(words(std::string(kWordBytesMax + 1, 'x') + ";"),
            Words{"ERROR too long parameter \"xxxxxxxxxx...\" started"});
  EXPECT_EQ(words("\"" + std::string(kWordBytesMax, 'x') + "\";"),
            Words{"ERROR too long parameter, probably missing terminating \"\"\" character"});
}

}  // namespace
}  // namespace bulkhead::config
