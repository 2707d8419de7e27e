// Every row was observed on php-fpm 8.2 (-tt).
#include "config/fpm_lexer.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace bulkhead::config {
namespace {

struct Row {
  const char* value;     // what stands after `x[y]`
  const char* expected;  // the value, or the syntax error without " in Unknown on line N"
};

const Row kValues[] = {
    {"=a", "a"},
    {" = a ", "a"},
    {"=\ta\tb ", "a\tb"},
    {"=", ""},
    {"= ; comment", ""},
    {"=a ; comment", "a"},
    {"=a;b", "a"},
    {"=on", "1"},
    {"=Yes", "1"},
    {"= off ; c", ""},
    {"=nOne", ""},
    {"=null", ""},
    {"=onx", "onx"},
    {"=yes.x", "yes.x"},
    {"=\"on\"", "on"},
    {"='a;b'", "a;b"},
    {"= 'a' 'b'", "a b"},
    {"=a 'b' c", "a b c"},
    {"=a \"b\" c", "abc"},
    {"=\"a\\\"b\"", "a\"b"},
    {"=\"a\\\"\"", "a\""},
    {"=\"a\\\"", "a\\"},
    {"=\"a\\\\b\"", "a\\b"},
    {"=\"a\\nb\"", "a\\nb"},
    {"=\"a\\'b\"", "a\\'b"},
    {"=\"\\$x\"", "$x"},
    {"=\"a=b\"", "a=b"},
    {"=a${BH_TEST}b", "avalueb"},
    {"=\"${BH_TEST}\"", "value"},
    {"='${BH_TEST}'", "${BH_TEST}"},
    {"=${ BH_TEST }", "value"},
    {"=${BH_TEST_UNSET}", ""},
    {"=$BH_TEST", "$BH_TEST"},
    {"=$$", "$$"},
    {"=x$ ", "x$ "},
    {"=E_ALL & ~E_NOTICE", "32759"},
    {"=say E_ALL now", "say 32767 now"},
    {"=E_ALL,", "E_ALL,"},
    {"=1|2&3", "3"},
    {"=(1|2)&3", "3"},
    {"=!a", "1"},
    {"=~0", "-1"},
    {"=a|b", "0"},
    {"=a'b", "a"},
    {"={a}[b]", "{a}[b]"},
    {"=yes foo", "syntax error, unexpected TC_CONSTANT"},
    {"=foo yes", "syntax error, unexpected BOOL_TRUE"},
    {"=foo off", "syntax error, unexpected BOOL_FALSE"},
    {"=1|null", "syntax error, unexpected NULL_NULL"},
    {"=on\"x\"", "syntax error, unexpected '\"'"},
    {"=yes'a'", "syntax error, unexpected TC_RAW"},
    {"=a=b", "syntax error, unexpected '='"},
    {"=x!y", "syntax error, unexpected '!'"},
    {"=x(y)", "syntax error, unexpected '('"},
    {"=1 |", "syntax error, unexpected END_OF_LINE"},
    {"=(1", "syntax error, unexpected END_OF_LINE, expecting '^' or '|' or '&' or ')'"},
    {"='a", "syntax error, unexpected end of file"},
    {"=\"a",
     "syntax error, unexpected end of file, expecting TC_DOLLAR_CURLY or TC_QUOTED_STRING "
     "or '\"'"},
    {"=${", "syntax error, unexpected end of file, expecting TC_VARNAME"},
    {"=${}", "syntax error, unexpected '}', expecting TC_VARNAME"},
    {"=${A", "syntax error, unexpected end of file, expecting '}'"},
    {"", "syntax error, unexpected END_OF_LINE, expecting '='"},
    {"z=1", "syntax error, unexpected TC_LABEL, expecting '='"},
    {"[z]=1", "syntax error, unexpected TC_SECTION, expecting '='"},
};

TEST(FpmLexer, ReadsValuesAsPhpDoes) {
  setenv("BH_TEST", "value", 1);
  unsetenv("BH_TEST_UNSET");
  for (const Row& row : kValues) {
    FpmLine line = read_fpm_line(std::string("x[y]") + row.value);
    if (!line.syntax_error.empty()) {
      std::string error = line.syntax_error.substr(0, line.syntax_error.find(" in Unknown"));
      EXPECT_EQ(error, row.expected) << row.value;
      continue;
    }
    ASSERT_EQ(line.statements.size(), 1u) << row.value;
    EXPECT_EQ(line.statements[0].kind, FpmStatement::Kind::kArray);
    EXPECT_EQ(line.statements[0].name, "x");
    EXPECT_EQ(line.statements[0].offset, "y");
    EXPECT_EQ(line.statements[0].value, row.expected) << row.value;
  }
}

TEST(FpmLexer, CountsTheEndOfTheLineAsLineTwo) {
  EXPECT_TRUE(read_fpm_line("a = 1 |").syntax_error.ends_with("on line 2"));
  EXPECT_TRUE(read_fpm_line("a = \"b").syntax_error.ends_with("on line 2"));
  EXPECT_TRUE(read_fpm_line("a = 'b").syntax_error.ends_with("on line 1"));
  EXPECT_TRUE(read_fpm_line("a = !").syntax_error.ends_with("on line 2"));
}

TEST(FpmLexer, SkipsBlankLinesAndComments) {
  for (const char* line : {"", "  ", "\t", "\r", ";x", "  ; x"}) {
    FpmLine read = read_fpm_line(line);
    EXPECT_TRUE(read.statements.empty() && read.syntax_error.empty()) << line;
  }
}

TEST(FpmLexer, ReadsSections) {
  struct {
    const char *line, *name;
  } rows[] = {{"[a]", "a"},           {"[ b c ]", " b c "}, {"[]", ""},
              {"[c] ; comment", "c"}, {"['c']", "c"},       {"[x\"y\"z]", "xyz"},
              {"[$pool]", "$pool"},   {"[E_ALL]", "E_ALL"}, {"[a|b{}]", "a|b{}"}};
  for (auto [line, name] : rows) {
    FpmLine read = read_fpm_line(line);
    ASSERT_EQ(read.statements.size(), 1u) << line;
    EXPECT_EQ(read.statements[0].kind, FpmStatement::Kind::kSection);
    EXPECT_EQ(read.statements[0].name, name);
  }
  for (const char* line : {"[b", "[c;d]", "[x\\]"})
    EXPECT_NE(read_fpm_line(line).syntax_error, "") << line;
}

TEST(FpmLexer, ReadsASectionAndAnEntryOnOneLine) {
  FpmLine read = read_fpm_line("[c]y=1");
  ASSERT_EQ(read.statements.size(), 2u);
  EXPECT_EQ(read.statements[1].name, "y");
}

TEST(FpmLexer, GivesANameWithoutValueBeforeTheError) {
  FpmLine read = read_fpm_line("chdir(x)=1");
  ASSERT_EQ(read.statements.size(), 1u);
  EXPECT_FALSE(read.statements[0].value);
  EXPECT_EQ(read.syntax_error, "syntax error, unexpected '(' in Unknown on line 1");
}

TEST(FpmLexer, TakesOffsetsInEveryForm) {
  struct {
    const char *line, *offset;
  } rows[] = {{"p [x]=1", "x"},    {"p[ x ]=1", "x "},  {"p['x']=1", "x"},       {"p[]=1", ""},
              {"p[x y]=1", "x y"}, {"p[a.b]=1", "a.b"}, {"p[E_ALL]=1", "32767"}, {"p[on]=1", "on"}};
  for (auto [line, offset] : rows) {
    FpmLine read = read_fpm_line(line);
    ASSERT_EQ(read.statements.size(), 1u) << line << ": " << read.syntax_error;
    EXPECT_EQ(read.statements[0].name, "p");
    EXPECT_EQ(read.statements[0].offset, offset) << line;
  }
}

TEST(FpmLexer, BoundsNesting) {
  std::string deep = "a = " + std::string(10000, '(') + "1";
  EXPECT_NE(read_fpm_line(deep).syntax_error, "");
}

TEST(FpmLexer, StopsAtANulByte) {
  FpmLine read = read_fpm_line(std::string_view("a = x\0y", 7));
  ASSERT_EQ(read.statements.size(), 1u);
  EXPECT_EQ(read.statements[0].value, "x");
}

}  // namespace
}  // namespace bulkhead::config
