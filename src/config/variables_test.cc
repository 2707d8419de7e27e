#include "config/variables.h"

#include <gtest/gtest.h>

namespace bulkhead::config {
namespace {

TEST(Template, PartsTextAndReferences) {
  VariableNames names;
  auto text = compile_template("a$uri/${args}b$1$2c", &names);
  ASSERT_TRUE(text);
  ASSERT_EQ(text->parts.size(), 8U);
  EXPECT_EQ(text->parts[0].text, "a");
  EXPECT_EQ(text->parts[1].kind, RefKind::kBuiltin);
  EXPECT_EQ(text->parts[1].index, static_cast<uint32_t>(Var::kUri));
  EXPECT_EQ(text->parts[3].index, static_cast<uint32_t>(Var::kArgs));
  EXPECT_EQ(text->parts[5].kind, RefKind::kCapture);
  EXPECT_EQ(text->parts[6].index, 2U);
  EXPECT_FALSE(text->is_literal());
}
TEST(Template, OfPlainTextIsLiteral) {
  VariableNames names;
  EXPECT_EQ(compile_template("abc", &names)->literal(), "abc");
  EXPECT_TRUE(compile_template("", &names)->is_literal());
}
TEST(Template, RefusesNamesThatAreNone) {
  VariableNames names;
  for (std::string_view bad : {"$", "a$", "$-", "${", "${}", "$$a"}) {
    EXPECT_EQ(compile_template(bad, &names).error().text, "invalid variable name") << bad;
  }
  EXPECT_EQ(compile_template("${a", &names).error().text,
            "the closing bracket in \"a\" variable is missing");
}
TEST(VariableNames, KnowsThePrefixes) {
  VariableNames names;
  EXPECT_EQ(names.refer("http_X_Forwarded_For").kind, RefKind::kHttp);
  EXPECT_EQ(names.refer("http_X_Forwarded_For").text, "x-forwarded-for");
  EXPECT_EQ(names.refer("arg_page_no").text, "page_no");
  EXPECT_EQ(names.refer("cookie_sid").kind, RefKind::kCookie);
  EXPECT_EQ(names.refer("sent_http_etag").kind, RefKind::kSentHttp);
  EXPECT_EQ(names.refer("upstream_http_etag").kind, RefKind::kUpstreamHttp);
  EXPECT_FALSE(names.first_undefined());
}
TEST(VariableNames, PrefersWhatTheConfigurationDefines) {
  VariableNames names;
  uint32_t slot = names.define_user("http_foo");
  EXPECT_EQ(names.refer("HTTP_FOO").kind, RefKind::kUser);
  EXPECT_EQ(names.refer("http_foo").index, slot);
  names.define_map("m", 3);
  EXPECT_EQ(names.refer("m").kind, RefKind::kMap);
  EXPECT_EQ(names.refer("m").index, 3U);
}
TEST(VariableNames, RemembersWhatNobodyDefined) {
  VariableNames names;
  uint32_t slot = names.refer("later").index;
  EXPECT_EQ(names.first_undefined(), "later");
  EXPECT_EQ(names.define_user("later"), slot);
  EXPECT_FALSE(names.first_undefined());
}
TEST(VariableTable, IsConsistent) {
  std::string_view last;
  for (const VariableRow& row : variable_table()) {
    EXPECT_EQ(find_variable(row.name), &row);
    EXPECT_NE(row.name, last);
    last = row.name;
  }
  EXPECT_EQ(variable_name(Var::kUri), "uri");
  EXPECT_EQ(variable_name(Var::kRemoteAddr), "remote_addr");
}

}  // namespace
}  // namespace bulkhead::config
