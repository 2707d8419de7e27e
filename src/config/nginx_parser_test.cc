#include "config/nginx_parser.h"

#include "config/nginx_table.h"
#include "config/nginx_test_support.h"

namespace bulkhead::config {
namespace {

TEST(NginxParser, ReplacesAnIncludeByItsFilesInOrder) {
  Built built = build_files({{"/P/n.conf", "include a/*.conf; include /x.conf; events{}"},
                             {"/P/a/2.conf", "env B;"},
                             {"/P/a/1.conf", "env A;"},
                             {"/x.conf", "env C;"}});
  ASSERT_TRUE(built.model) << built.error();
  EXPECT_EQ(built.model->env, (std::vector<std::string>{"A", "B", "C"}));
}
TEST(NginxParser, LetsAPatternMatchNothing) {
  EXPECT_TRUE(build_text("include none*.conf; events{}").model);
}
TEST(NginxParser, NamesTheMissingFileAndThePlaceOfItsInclude) {
  EXPECT_EQ(build_text("events{}\ninclude none.conf;").error(),
            "open() \"/P/none.conf\" failed (2: No such file or directory) in /P/n.conf:2");
}
TEST(NginxParser, NamesAMissingMainFileWithoutAPlace) {
  EXPECT_EQ(build_files({}).error(), "open() \"/P/n.conf\" failed (2: No such file or directory)");
}
TEST(NginxParser, PlacesErrorsInTheIncludedFile) {
  Built built = build_files({{"/P/n.conf", "events{}\ninclude x;"}, {"/P/x", "\n\nfoo;"}});
  EXPECT_EQ(built.error(), "unknown directive \"foo\" in /P/x:3");
}
TEST(NginxParser, DoesNotLetABlockEndInAnotherFile) {
  Built built = build_files({{"/P/n.conf", "events{}\nhttp { include x; }"}, {"/P/x", "}"}});
  EXPECT_EQ(built.error(), "unexpected \"}\" in /P/x:1");
  built = build_files({{"/P/n.conf", "events{}\ninclude x; }"}, {"/P/x", "http {"}});
  EXPECT_EQ(built.error(), "unexpected end of file, expecting \"}\" in /P/x:1");
}
TEST(NginxParser, StopsAnIncludeOfItself) {
  Built built = build_files({{"/P/n.conf", "include n.conf;\nevents{}"}});
  EXPECT_NE(built.error().find("too many nested includes"), std::string::npos) << built.error();
}
TEST(NginxParser, ReportsTheFirstErrorOfTheWholeReading) {
  EXPECT_EQ(build_text("events{}\nfoo;\nhttp {").error(),
            "unknown directive \"foo\" in /P/n.conf:2");
}
TEST(NginxParser, PutsTheCommandLineFirst) {
  auto run = [](const std::string& globals) {
    return build_files({{"/P/n.conf", "events{}"}}, Dialect::kNginx, globals);
  };
  EXPECT_FALSE(run("daemon off;").model->daemon);
  EXPECT_EQ(run("foo off;").error(), "unknown directive \"foo\" in command line");
  EXPECT_EQ(run("daemon off").error(),
            "unexpected end of parameter, expecting \";\" in command line");
  Built twice = build_files({{"/P/n.conf", "daemon on; events{}"}}, Dialect::kNginx, "daemon off;");
  EXPECT_EQ(twice.error(), "\"daemon\" directive is duplicate in /P/n.conf:1");
}
TEST(NginxParser, DumpsEveryFileOnceAndVerbatim) {
  Built built =
      build_files({{"/P/n.conf", "include x;\ninclude x; # end\nevents{}"}, {"/P/x", "env A;\n"}},
                  Dialect::kNginx, "daemon off;");
  EXPECT_EQ(dump_files(built.ast),
            "# configuration file /P/n.conf:\ninclude x;\ninclude x; # end\nevents{}\n"
            "# configuration file /P/x:\nenv A;\n\n");
}
TEST(NginxParser, KnowsBulkheadsOwnDirectivesInItsOwnDialectOnly) {
  std::string text = "pools /etc/p/*.conf; events{} http { server { user root; } }";
  Built ours = build_text(text);
  ASSERT_TRUE(ours.model) << ours.error();
  EXPECT_EQ(ours.model->pools_globs, std::vector<std::string>{"/etc/p/*.conf"});
  EXPECT_EQ(ours.model->servers[0]->user, "root");
  EXPECT_EQ(build_text(text, Dialect::kNginx).error(),
            "unknown directive \"pools\" in /P/n.conf:1");
  EXPECT_EQ(build_text("events{} http { server { user root; } }", Dialect::kNginx).error(),
            "\"user\" directive is not allowed here in /P/n.conf:1");
}

TEST(NginxParser, ReadsAnotherServersFileWhereItLies) {
  const Files files{
      {"/P/n.conf", "relative_to /N; include /N/nginx.conf; sites /S/*.conf; sites /none/*.conf;"},
      {"/N/nginx.conf", "events{} http { include beside; server { root /a; } }"},
      {"/N/beside", "log_format x y;"},
      {"/S/one.conf", "server { root /b; include beside2; }"},
      {"/N/beside2", "autoindex on;"}};
  Built built = build_files(files);
  ASSERT_TRUE(built.model) << built.error();
  ASSERT_EQ(built.model->servers.size(), 2U);
  EXPECT_EQ(built.model->servers[1]->root->conf.root.literal(), "/b");
  EXPECT_TRUE(built.model->servers[1]->root->conf.autoindex);
  EXPECT_EQ(built.model->log_formats.size(), 2U);
}
TEST(NginxParser, SaysWhatIsWrongWithSitesOfTheirOwnFiles) {
  const Files bad{{"/P/n.conf", "sites /S/*.conf; events{} http{}"},
                  {"/S/one.conf", "server {\n no_such 1; }"}};
  EXPECT_EQ(build_files(bad).error(), "unknown directive \"no_such\" in /S/one.conf:2");
  const Files again{{"/P/n.conf", "sites /S/*.conf; events{} http{}"},
                    {"/S/one.conf", "relative_to /x;\nsites /S/*.conf;"}};
  EXPECT_EQ(build_files(again).error(),
            "\"relative_to\" directive is not allowed here in /S/one.conf:1");
  const Files torn{{"/P/n.conf", "sites /S/*.conf; events{} http{}"}, {"/S/one.conf", "server {"}};
  EXPECT_EQ(build_files(torn).error(), "unexpected end of file, expecting \"}\" in /S/one.conf:1");
  EXPECT_EQ(build_files({{"/P/n.conf", "events{}\nsites /S/*.conf;"}, {"/S/a.conf", ""}}).error(),
            "\"sites\" needs an \"http\" block in /P/n.conf:2");
  EXPECT_EQ(build_files({{"/P/n.conf", "events{} http { sites /S/*.conf; }"}}).error(),
            "\"sites\" directive is not allowed here in /P/n.conf:1");
  EXPECT_EQ(
      build_files({{"/P/n.conf", "sites /S/*.conf; events{} http{}"}}, Dialect::kNginx).error(),
      "unknown directive \"sites\" in /P/n.conf:1");
}

TEST(Ast, ComesBackFromItsBytes) {
  Built built = build_files({{"/P/n.conf", "events{}\nhttp {\n server { set $a \"b c\"; }\n}"}});
  std::string bytes = serialise(built.ast);
  auto back = deserialise(bytes);
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(serialise(*back), bytes);
  EXPECT_EQ(back->files[0].path, "/P/n.conf");
  EXPECT_EQ(back->files[0].text, "");
  const Directive& set = back->top[1].children[0].children[0];
  EXPECT_EQ(set.args[1].text, "b c");
  EXPECT_TRUE(set.args[1].quoted);
  EXPECT_EQ(back->top[1].end_line, 4U);
}
TEST(Ast, RefusesDamagedBytesAtEveryLength) {
  std::string bytes = serialise(build_text("events{} http{ server { root /a; } }").ast);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(deserialise(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(deserialise(bytes + "x"));
}
TEST(Ast, GivesFrontTheModelOfMaster) {
  Built built = build_http("server { listen 81; listen 127.0.0.1:80; error_log a; }");
  auto back = deserialise(serialise(built.ast));
  ASSERT_TRUE(back && built.model);
  BuildOptions options;
  options.resolve_names = false;
  auto front = build_model(*back, options, nullptr);
  ASSERT_TRUE(front);
  ASSERT_EQ((*front)->listens.size(), built.model->listens.size());
  for (size_t i = 0; i < built.model->listens.size(); ++i) {
    EXPECT_EQ((*front)->listens[i].text, built.model->listens[i].text);
  }
  ASSERT_EQ((*front)->log_files.size(), built.model->log_files.size());
}

TEST(DirectiveTable, IsSortedAndEveryRowIsExplained) {
  std::string_view last;
  for (const DirectiveRow& row : directive_table()) {
    EXPECT_LE(last, row.name);
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_NE(row.contexts, 0U) << row.name;
    EXPECT_NE(row.arguments, 0U) << row.name;
    bool must_have_setter = row.support == Support::kInForce && row.name != "include";
    EXPECT_TRUE(!must_have_setter || row.set != nullptr) << row.name;
    last = row.name;
  }
}
TEST(DirectiveTable, FindsAllRowsOfAName) {
  EXPECT_TRUE(find_directives("no_such").empty());
  EXPECT_GE(find_directives("server").size(), 4U);
  EXPECT_NE(reference_manual().find("| `fastcgi_pass` |"), std::string::npos);
  EXPECT_NE(completion_words().find("\nfastcgi_pass\n"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::config
