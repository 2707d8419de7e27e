#include <gtest/gtest.h>

#include "master/control_socket.h"
#include "master/fpm_cli.h"
#include "master/nginx_cli.h"

namespace bulkhead::master {
namespace {

std::vector<char*> words(std::initializer_list<const char*> list) {
  std::vector<char*> out;
  for (const char* word : list) out.push_back(const_cast<char*>(word));
  return out;
}
NginxCli nginx(std::initializer_list<const char*> list) { return parse_nginx_cli(words(list)); }
FpmCli fpm(std::initializer_list<const char*> list) { return parse_fpm_cli(words(list)); }

TEST(NginxCli, TakesValuesInTheSameWordOrTheNext) {
  NginxCli a = nginx({"-p", "/x", "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"});
  EXPECT_EQ(a.error, "");
  EXPECT_EQ(a.options.prefix, "/x/");
  EXPECT_EQ(a.options.nginx_conf, "nginx.conf");
  EXPECT_EQ(a.options.error_log, "error.log");
  EXPECT_EQ(a.options.global_directives, "daemon off;");
  NginxCli b = nginx({"-tqc/etc/x.conf", "-p/y/"});
  EXPECT_EQ(b.options.test, master::Test::kTest);
  EXPECT_TRUE(b.options.quiet);
  EXPECT_EQ(b.options.nginx_conf, "/etc/x.conf");
  EXPECT_EQ(b.options.prefix, "/y/");
}

TEST(NginxCli, HasDebiansDefaults) {
  NginxCli a = nginx({});
  EXPECT_EQ(a.options.nginx_conf, "/etc/nginx/nginx.conf");
  EXPECT_EQ(a.options.prefix, "/usr/share/nginx/");
  EXPECT_EQ(a.options.error_log, "stderr");
}

TEST(NginxCli, RefusesInNginxsWords) {
  EXPECT_EQ(nginx({"-x"}).error, "invalid option: \"x\"");
  EXPECT_EQ(nginx({"foo"}).error, "invalid option: \"foo\"");
  EXPECT_EQ(nginx({"-c"}).error, "option \"-c\" requires file name");
  EXPECT_EQ(nginx({"-p"}).error, "option \"-p\" requires directory name");
  EXPECT_EQ(nginx({"-g"}).error, "option \"-g\" requires parameter");
  EXPECT_EQ(nginx({"-s"}).error, "option \"-s\" requires parameter");
  EXPECT_EQ(nginx({"-s", "foo"}).error, "invalid option: \"-s foo\"");
}

TEST(NginxCli, KnowsTheFourSignals) {
  for (const char* s : {"stop", "quit", "reopen", "reload"}) {
    EXPECT_EQ(nginx({"-s", s}).signal, s);
    EXPECT_EQ(nginx({"-s", s}).error, "");
  }
}

TEST(NginxCli, ShowsItsVersion) {
  EXPECT_EQ(nginx_version_text(nginx({"-v"})), "nginx version: nginx/1.22.1\n");
  std::string text = nginx_version_text(nginx({"-V"}));
  EXPECT_TRUE(text.starts_with("nginx version: nginx/1.22.1\nconfigure arguments: "));
  EXPECT_EQ(text.find("--with-http_ssl_module"), std::string::npos);  // not present: not claimed
  EXPECT_NE(nginx_version_text(nginx({"-h"})).find("Usage: nginx"), std::string::npos);
}

TEST(FpmCli, TakesLongAndShortOptions) {
  FpmCli a = fpm({"-y", "/a.conf", "-F", "-O", "-R", "-p", "/p", "-g", "/pid", "-c", "/ini", "-n",
                  "-d", "a=b"});
  EXPECT_EQ(a.ask, FpmCli::Ask::kServe);
  EXPECT_EQ(a.options.fpm_conf, "/a.conf");
  EXPECT_EQ(a.options.daemonize, false);
  EXPECT_TRUE(a.options.force_stderr);
  EXPECT_TRUE(a.options.allow_root);
  EXPECT_EQ(a.options.prefix, "/p");
  EXPECT_EQ(a.options.pid, "/pid");
  EXPECT_EQ(a.options.php_args, (std::vector<std::string>{"-c", "/ini", "-n", "-d", "a=b"}));
  FpmCli b = fpm({"--fpm-config=/b.conf", "--daemonize", "--prefix", "/q"});
  EXPECT_EQ(b.options.fpm_conf, "/b.conf");
  EXPECT_EQ(b.options.daemonize, true);
  EXPECT_EQ(b.options.prefix, "/q");
}

TEST(FpmCli, TestsOnceAndDumpsTwice) {
  EXPECT_EQ(fpm({"-t"}).options.test, master::Test::kTest);
  EXPECT_EQ(fpm({"-tt"}).options.test, master::Test::kDump);
  EXPECT_EQ(fpm({"-t", "--test"}).options.test, master::Test::kDump);
}

TEST(FpmCli, CallsAnythingElseAUsageError) {
  EXPECT_EQ(fpm({"-Z"}).ask, FpmCli::Ask::kUsageError);
  EXPECT_EQ(fpm({"foo"}).ask, FpmCli::Ask::kUsageError);
  EXPECT_EQ(fpm({"-y"}).ask, FpmCli::Ask::kUsageError);
  EXPECT_EQ(fpm({"--nothing"}).ask, FpmCli::Ask::kUsageError);
  EXPECT_EQ(fpm({"-h"}).ask, FpmCli::Ask::kHelp);
  EXPECT_EQ(fpm({"-v"}).ask, FpmCli::Ask::kVersion);
  EXPECT_EQ(fpm({"-i"}).ask, FpmCli::Ask::kInfo);
}

TEST(Options, SurviveTheWayToMaster) {
  Options o;
  o.kind = Kind::kNginx;
  o.nginx_conf = "/with space/n.conf";
  o.prefix = "/p/";
  o.error_log = "e";
  o.global_directives = "daemon off; pid x;";
  o.daemonize = false;
  o.force_stderr = o.allow_root = true;
  o.php_args = {"-d", "a=b", "-n"};
  o.command_line = "nginx -c x";
  std::vector<std::string> arguments = to_arguments(o);
  std::vector<char*> raw;
  for (std::string& a : arguments) raw.push_back(a.data());
  auto back = from_arguments(raw);
  ASSERT_TRUE(back);
  EXPECT_EQ(to_arguments(*back), arguments);
  EXPECT_EQ(back->global_directives, o.global_directives);
  EXPECT_EQ(back->daemonize, false);
  EXPECT_EQ(back->php_args, o.php_args);
  char bad[] = "--nothing=1";
  char* list[] = {bad};
  EXPECT_FALSE(from_arguments(list));
}

TEST(ControlSocket, StandsBesideThePidFile) {
  EXPECT_EQ(control_path("/run/bulkhead.pid"), "/run/bulkhead.ctl");
  EXPECT_EQ(control_path("/run/x"), "/run/x.ctl");
}

}  // namespace
}  // namespace bulkhead::master
