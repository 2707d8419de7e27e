// What configurations mean: inheritance from both sides, locations, sockets, rewriting.
#include "config/nginx_test_support.h"

namespace bulkhead::config {
namespace {

const LocConf& conf(const Built& built, std::string_view text) {
  return location(built, text).conf;
}

TEST(Merge, TakesTheOuterValueUnlessTheBlockHasItsOwn) {
  Built built = build_http(
      "etag off; server { location /own { etag on; } location /none { } send_timeout 5s; }");
  EXPECT_TRUE(conf(built, "/own").etag);
  EXPECT_FALSE(conf(built, "/none").etag);
  EXPECT_EQ(conf(built, "/none").send_timeout, Millis(5000));  // said after the location
}
TEST(Merge, FallsBackToNginxDefaults) {
  Built built = build_http("server { location / { } }");
  const LocConf& c = conf(built, "/");
  EXPECT_EQ(c.root.literal(), "/P/html");
  EXPECT_EQ(c.index[0].literal(), "index.html");
  EXPECT_EQ(c.client_max_body_size, 1U << 20);
  EXPECT_EQ(c.fastcgi.busy_buffers_size, 8192U);
  EXPECT_EQ(c.fastcgi.hide_headers.size(), 6U);
  EXPECT_EQ(c.default_type, "text/plain");
  ASSERT_EQ(c.types->by_extension.size(), 3U);
  EXPECT_EQ(c.types->by_extension[1].second, "text/html");
  ASSERT_EQ(c.access_logs.size(), 1U);
  EXPECT_EQ(built.model->log_files[c.access_logs[0].file].path, "/P/logs/access.log");
  ASSERT_EQ(c.error_logs.size(), 1U);
  EXPECT_EQ(built.model->listens[0].text, "0.0.0.0:" + std::to_string(built.ast.default_port));
}
TEST(Merge, ReplacesHeadersPagesIndexAndRulesAsAWhole) {
  Built built = build_http(
      "add_header A 1; add_header B 2 always; error_page 404 /a; error_page 500 502 =200 @b; "
      "index x y; deny 10.0.0.0/8; allow all;"
      "server { location /own { add_header C 3; error_page 403 = /c; index z; deny all; }"
      " location /none { } }");
  const LocConf& own = conf(built, "/own");
  const LocConf& none = conf(built, "/none");
  ASSERT_EQ(none.add_headers.size(), 2U);
  EXPECT_TRUE(none.add_headers[1].always);
  ASSERT_EQ(none.error_pages.size(), 2U);
  EXPECT_EQ(none.error_pages[1].statuses, (std::vector<uint16_t>{500, 502}));
  EXPECT_EQ(none.error_pages[1].overwrite, 200);
  EXPECT_FALSE(none.error_pages[0].overwrite.has_value());
  EXPECT_EQ(none.index.size(), 2U);
  EXPECT_EQ(none.access_rules.size(), 2U);
  ASSERT_EQ(own.add_headers.size(), 1U);
  EXPECT_EQ(own.add_headers[0].name, "C");
  EXPECT_EQ(own.error_pages[0].overwrite, 0);
  EXPECT_EQ(own.index.size(), 1U);
  EXPECT_EQ(own.access_rules.size(), 1U);
}
TEST(Merge, InheritsAccessLogsAndTurnsThemOff) {
  Built built = build_http(
      "log_format f $uri; access_log a f buffer=4k flush=2s if=$args; server {"
      " location /none { } location /off { access_log off; location /off/in { } }"
      " location /own { access_log b; access_log /c/$host.log f; } }");
  const LocConf& none = conf(built, "/none");
  ASSERT_EQ(none.access_logs.size(), 1U);
  EXPECT_EQ(none.access_logs[0].format, 1U);
  EXPECT_EQ(none.access_logs[0].buffer_bytes, 4096U);
  EXPECT_EQ(none.access_logs[0].flush, Millis(2000));
  EXPECT_TRUE(none.access_logs[0].condition.has_value());
  EXPECT_TRUE(conf(built, "/off").access_logs.empty());
  EXPECT_TRUE(conf(built, "/off/in").access_logs.empty());
  const LocConf& own = conf(built, "/own");
  ASSERT_EQ(own.access_logs.size(), 2U);
  EXPECT_EQ(own.access_logs[1].file, kNone);
  EXPECT_EQ(own.access_logs[1].path.parts.size(), 3U);
}
TEST(Merge, ReplacesTypesAndJoinsBlocksOfOneLevel) {
  Built built = build_http(
      "types { a/b x Y; } types { c/d z; } server { location /own { types { e/f x; } }"
      " location /none { } }");
  EXPECT_EQ(conf(built, "/own").types->by_extension.size(), 1U);
  EXPECT_EQ(conf(built, "/none").types->by_extension.size(), 3U);
  EXPECT_EQ(conf(built, "/none").types->by_extension[1].first, "y");
}
TEST(Merge, ReplacesFastcgiParamsAndKeepsSettings) {
  Built built = build_http(
      "fastcgi_param A 1; fastcgi_param B $uri if_not_empty; fastcgi_read_timeout 5s; server {"
      " location /own { fastcgi_param C 3; fastcgi_pass unix:/s; }"
      " location /none { fastcgi_pass unix:/s; } }");
  ASSERT_EQ(conf(built, "/none").fastcgi.params.size(), 2U);
  EXPECT_TRUE(conf(built, "/none").fastcgi.params[1]->if_not_empty);
  ASSERT_EQ(conf(built, "/own").fastcgi.params.size(), 1U);
  EXPECT_EQ(conf(built, "/own").fastcgi.read_timeout, Millis(5000));
}
TEST(Merge, HidesByDefaultAndByDirectiveUnlessPassed) {
  Built built = build_http(
      "fastcgi_hide_header X-Powered-By; server { location /none { }"
      " location /pass { fastcgi_pass_header Status; }"
      " location /hide { fastcgi_hide_header X-Other; } }");
  auto has = [&](std::string_view where, std::string_view name) {
    const auto& hidden = conf(built, where).fastcgi.hide_headers;
    return std::find(hidden.begin(), hidden.end(), name) != hidden.end();
  };
  EXPECT_TRUE(has("/none", "x-powered-by"));
  EXPECT_TRUE(has("/none", "status"));
  EXPECT_FALSE(has("/pass", "status"));
  EXPECT_TRUE(has("/pass", "x-powered-by"));
  EXPECT_FALSE(has("/hide", "x-powered-by"));
  EXPECT_TRUE(has("/hide", "x-other"));
}
TEST(Merge, KeepsHandlersAndTryFilesInTheirLocation) {
  Built built = build_http(
      "server { try_files a =404; location / { try_files $uri $uri/ /i.php?$args;"
      " fastcgi_pass unix:/s; if ($args) { set $a 1; } location /in { } } }");
  const LocConf& outer = conf(built, "/");
  ASSERT_TRUE(outer.try_files && outer.fastcgi.pass);
  EXPECT_TRUE(outer.try_files->items[1].wants_dir);
  EXPECT_EQ(outer.try_files->final_uri.parts.size(), 2U);
  EXPECT_FALSE(conf(built, "/in").try_files);
  EXPECT_FALSE(conf(built, "/in").fastcgi.pass);
  EXPECT_TRUE(conf(built, "if").fastcgi.pass);
  EXPECT_EQ(built.model->servers[0]->root->conf.try_files->final_status, 404);
}
TEST(Merge, MakesRootsAbsoluteAndInheritsAliases) {
  Built built = build_http(
      "root r/; server { location /none { } location /own { root /o/; }"
      " location /var { root $host/x; } location /al { alias /b/; location /al/in { } } }");
  EXPECT_EQ(conf(built, "/none").root.literal(), "/P/r");
  EXPECT_TRUE(conf(built, "/none").root_from_server);
  EXPECT_EQ(conf(built, "/own").root.literal(), "/o");
  EXPECT_FALSE(conf(built, "/own").root_from_server);
  EXPECT_EQ(conf(built, "/var").root.parts.size(), 2U);
  EXPECT_TRUE(conf(built, "/al").is_alias);
  EXPECT_EQ(conf(built, "/al").root.literal(), "/b/");
  EXPECT_TRUE(conf(built, "/al/in").is_alias);
}
TEST(Merge, TakesServerSettingsFromHttp) {
  Built built = build_http(
      "merge_slashes off; client_header_timeout 7; server { large_client_header_buffers 2 16k; }"
      " server { merge_slashes on; server_name b; }");
  const Server& first = *built.model->servers[0];
  EXPECT_FALSE(first.merge_slashes);
  EXPECT_EQ(first.client_header_timeout, Millis(7000));
  EXPECT_EQ(first.large_buffers_size, 16384U);
  EXPECT_TRUE(built.model->servers[1]->merge_slashes);
  EXPECT_EQ(built.model->servers[1]->large_buffers_size, 8192U);
}

TEST(Locations, TellTheirKindsApart) {
  Built built = build_http(
      "server { location = /e { } location ^~ /p/ { fastcgi_pass unix:/s; }"
      " location ~* \\.(?<ext>x)$ { root /$ext; } location @n { } location ~b { } location =/f { } "
      "}");
  using Kind = Location::Kind;
  EXPECT_EQ(location(built, "/e").kind, Kind::kExact);
  EXPECT_EQ(location(built, "/f").kind, Kind::kExact);
  EXPECT_EQ(location(built, "/p/").kind, Kind::kPrefixNoRegex);
  EXPECT_TRUE(location(built, "/p/").auto_redirect);
  EXPECT_EQ(location(built, "@n").kind, Kind::kNamed);
  EXPECT_EQ(location(built, "b").kind, Kind::kRegex);
  const Location& regex = location(built, "\\.(?<ext>x)$");
  ASSERT_EQ(regex.named.size(), 1U);
  EXPECT_EQ(built.model->user_variables[regex.named[0].second], "ext");
  EXPECT_EQ(regex.regex->match("/a.X", nullptr), MatchResult::kYes);
}

TEST(Rewriting, KeepsStatementsInOrderWithTheirBlocks) {
  Built built = build_http(
      "server { set $a 1; if ($a ~ ^(?<n>x)) { return 403; } rewrite ^/(.*)$ /y?z=$1? last;"
      " rewrite a https://b permanent; return 301 https://$host; set $args q; break; }");
  const auto& ops = built.model->servers[0]->root->ops;
  using Kind = RewriteOp::Kind;
  ASSERT_EQ(ops.size(), 7U);
  EXPECT_EQ(ops[0].kind, Kind::kSet);
  EXPECT_EQ(ops[1].kind, Kind::kIf);
  EXPECT_EQ(ops[1].condition->op, Condition::Op::kMatch);
  EXPECT_EQ(ops[1].condition->named.size(), 1U);
  EXPECT_EQ(ops[1].if_location->ops[0].status, 403);
  EXPECT_TRUE(ops[2].drops_args);
  EXPECT_EQ(ops[2].flag, RewriteOp::Flag::kLast);
  EXPECT_TRUE(ops[3].is_absolute);
  EXPECT_EQ(ops[4].status, 301);
  EXPECT_TRUE(ops[4].has_text);
  EXPECT_EQ(ops[5].builtin, Var::kArgs);
  EXPECT_EQ(ops[6].kind, Kind::kBreak);
}
TEST(Rewriting, LetsAMapBeUsedBeforeItStands) {
  Built built = build_http(
      "server { set $a $m; } map $uri $m { hostnames; default d; *.x 1; y.* 2; .z 3; ~*q 4; }");
  ASSERT_TRUE(built.model) << built.error();
  const VarRef& ref = built.model->servers[0]->root->ops[0].value.parts[0];
  EXPECT_EQ(ref.kind, RefKind::kMap);
  const MapDef& map = built.model->maps[ref.index];
  EXPECT_EQ(map.leading.size(), 2U);
  EXPECT_EQ(map.trailing.size(), 1U);
  EXPECT_EQ(map.regexes.size(), 1U);
  EXPECT_EQ(map.default_value->literal(), "d");
}

TEST(Sockets, AreSharedByServersOfOneAddress) {
  Built built = build_http(
      "server { listen 80; listen [::]:80 ipv6only=off; server_name a; }"
      " server { listen *:80 default_server backlog=7; server_name b; }"
      " server { listen 127.0.0.1:80; listen 127.0.0.2:80 bind; listen unix:/s; server_name c; }");
  ASSERT_TRUE(built.model) << built.error();
  const auto& listens = built.model->listens;
  ASSERT_EQ(listens.size(), 5U);
  EXPECT_EQ(listens[0].servers, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(listens[0].default_server, 1U);
  EXPECT_EQ(listens[0].backlog, 7);
  EXPECT_EQ(listens[1].text, "[::]:80");
  EXPECT_EQ(listens[1].ipv6only, false);
  EXPECT_EQ(listens[2].served_by, 0U);
  EXPECT_EQ(listens[3].served_by, kNone);
  EXPECT_EQ(listens[4].text, "unix:/s");
}
TEST(Sockets, ForTlsAreRecordedAndWarnedAbout) {
  Built built = build_http(
      "server { listen 80; listen 443 ssl http2; ssl_certificate c; ssl_certificate_key k; }");
  ASSERT_TRUE(built.model) << built.error();
  EXPECT_FALSE(built.model->listens[0].ssl);
  EXPECT_TRUE(built.model->listens[1].ssl);
  EXPECT_TRUE(built.warns("not opened: 0.0.0.0:443"));
  built = build_http("server { listen 443; ssl on; ssl_certificate c; }");
  EXPECT_TRUE(built.model->listens[0].ssl);
}

TEST(Upstreams, AreNamedOrMadeOfAddresses) {
  Built built = build_http(
      "server { location /a { fastcgi_pass back; } location /b { fastcgi_pass 127.0.0.1:9; }"
      " location /c { fastcgi_pass 127.0.0.1:9; } location /d { fastcgi_pass $uri; } }"
      " upstream back { server unix:/x weight=3 max_fails=0; server 127.0.0.1:1 backup;"
      " keepalive 4; }");
  ASSERT_TRUE(built.model) << built.error();
  ASSERT_EQ(built.model->upstreams.size(), 2U);
  EXPECT_EQ(conf(built, "/a").fastcgi.pass->upstream, 0U);
  EXPECT_EQ(conf(built, "/b").fastcgi.pass->upstream, 1U);
  EXPECT_EQ(conf(built, "/c").fastcgi.pass->upstream, 1U);
  EXPECT_EQ(conf(built, "/d").fastcgi.pass->upstream, kNone);
  const Upstream& named = built.model->upstreams[0];
  EXPECT_EQ(named.servers[0].weight, 3U);
  EXPECT_TRUE(named.servers[1].backup);
  EXPECT_EQ(named.keepalive, 4U);
  EXPECT_EQ(named.sockaddrs[1].size(), 1U);
  EXPECT_TRUE(built.model->upstreams[1].implicit);
}
TEST(Upstreams, SayHowTheyAreBalanced) {
  auto upstream = [](const std::string& inside) {
    return build_http("upstream u { " + inside +
                      " server 127.0.0.1:1 weight=50000; server [::1]:1 " +
                      "weight=50000 max_conns=7; } server { }");
  };
  Built built = upstream("random two least_conn;");
  ASSERT_TRUE(built.model) << built.error();
  EXPECT_TRUE(built.model->upstreams[0].random_two);
  EXPECT_EQ(built.model->upstreams[0].servers[1].max_conns, 7U);
  EXPECT_FALSE(upstream("random;").model->upstreams[0].random_two);
  EXPECT_TRUE(upstream("hash $uri consistent;").model->upstreams[0].consistent);
  EXPECT_FALSE(upstream("hash $uri;").model->upstreams[0].consistent);
  for (std::string bad : {"random three;", "random two least;", "hash $uri consist;"}) {
    EXPECT_NE(upstream(bad).error().find("invalid parameter \""), std::string::npos) << bad;
  }
  built = upstream("hash $uri consistent; server 127.0.0.1:2;");
  EXPECT_NE(built.error().find("too much for a consistent hash"), std::string::npos);
  EXPECT_TRUE(upstream("hash $uri; server 127.0.0.1:2;").model);
}
TEST(Upstreams, AreRebuiltFromTheAnswersOfMaster) {
  Built built = build_http("server { location /a { fastcgi_pass back.test:9; } }");
  BuildOptions options;
  std::map<std::string, std::vector<std::string>> known{{"back.test",
                                                         {std::string("\2\0\0\0"
                                                                      "\12\0\0\1\0\0\0\0\0\0\0\0",
                                                                      16)}}};
  options.resolved = &known;
  options.resolve_names = false;
  Ast ast = *parse_file("n.conf", {"/P", "", Dialect::kBulkhead},
                        memory_source({{"/P/n.conf",
                                        "events{} http{ server { location /a { fastcgi_pass "
                                        "back.test:9; } } }"}}));
  auto model = build_model(ast, options, nullptr);
  ASSERT_TRUE(model);
  ASSERT_EQ((*model)->upstreams[0].sockaddrs[0].size(), 1U);
  EXPECT_EQ((*model)->upstreams[0].sockaddrs[0][0].substr(2, 2), std::string("\0\11", 2));
  EXPECT_TRUE((*model)->resolved.contains("back.test"));
}

TEST(Missing, HandlersAnswer503InTheirLocationOnly) {
  Built built = build_http(
      "server { location /a { proxy_pass http://b; location /a/in { } if ($args) { } }"
      " location /c { } }");
  EXPECT_NE(conf(built, "/a").unsupported.find("\"proxy_pass\" is not supported"),
            std::string::npos);
  EXPECT_FALSE(conf(built, "if").unsupported.empty());
  EXPECT_TRUE(conf(built, "/a/in").unsupported.empty());
  EXPECT_TRUE(conf(built, "/c").unsupported.empty());
  EXPECT_TRUE(built.warns("answers 503"));
}
TEST(Missing, ProtectionsAreInheritedUntilTurnedOff) {
  Built built = build_http(
      "server { auth_basic x; location /in { } location /off { auth_basic off; }"
      " location /both { limit_req zone=z; auth_basic off; } }");
  EXPECT_FALSE(conf(built, "/in").unsupported.empty());
  EXPECT_TRUE(conf(built, "/off").unsupported.empty());
  EXPECT_NE(conf(built, "/both").unsupported.find("limit_req"), std::string::npos);
}
TEST(Missing, RealIpMattersWhereAddressesAreJudged) {
  Built built = build_http(
      "set_real_ip_from 10.0.0.0/8; server { location /a { deny 1.2.3.4; } location /b { deny all; "
      "}"
      " location /c { } }");
  EXPECT_FALSE(conf(built, "/a").unsupported.empty());
  EXPECT_TRUE(conf(built, "/b").unsupported.empty());
  EXPECT_TRUE(conf(built, "/c").unsupported.empty());
}
TEST(Missing, HarmlessDirectivesAreNoted) {
  Built built = build_http("gzip on; gzip_types a/b; server { }");
  ASSERT_TRUE(built.model);
  EXPECT_EQ(built.model->notes.size(), 2U);
  EXPECT_EQ(built.model->notes[0].text, "\"gzip\" has no effect here: answers are not compressed");
  EXPECT_TRUE(built.messages.empty());
}
TEST(Missing, BlocksWithoutASafeMeaningAreRefused) {
  EXPECT_NE(build_text("events{} stream { }").error().find("\"stream\" is not supported"),
            std::string::npos);
  EXPECT_NE(build_http("geo $a { default 1; }").error().find("\"geo\" is not supported"),
            std::string::npos);
}

TEST(Expires, UnderstandsItsForms) {
  auto parse = [](std::vector<std::string_view> words) { return parse_expires(words); };
  using Kind = Expires::Kind;
  EXPECT_EQ(parse({"max"})->kind, Kind::kMax);
  EXPECT_EQ(parse({"off"})->kind, Kind::kOff);
  EXPECT_EQ(parse({"-1"})->seconds, -1);
  EXPECT_EQ(parse({"+1y"})->seconds, 365 * 86400);
  EXPECT_EQ(parse({"modified", "1d"})->kind, Kind::kModifiedDelta);
  EXPECT_EQ(parse({"@1h"})->kind, Kind::kTimeOfDay);
  for (std::vector<std::string_view> bad :
       {std::vector<std::string_view>{"x"}, {"@25h"}, {"modified", "@1h"}, {"a", "1d"}, {}}) {
    EXPECT_FALSE(parse(bad));
  }
}

}  // namespace
}  // namespace bulkhead::config
