// Messages, their order and the dump are php-fpm 8.2's, observed with -t and -tt.
#include "config/pool_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace bulkhead::config {
namespace {

class PoolConfigTest : public ::testing::Test {
 protected:
  PoolConfigTest() {
    char name[] = "/tmp/bulkhead-pool-config-XXXXXX";
    directory_ = mkdtemp(name);
    options_.test = true;
    options_.bulkhead_keys = false;
    global_ = "[global]\nerror_log = " + directory_ + "/error.log\n";
    base_ = global_ + "[a]\nuser = root\nlisten = " + directory_ +
            "/a.sock\npm = dynamic\npm.max_children = 5\npm.start_servers = 2\n"
            "pm.min_spare_servers = 1\npm.max_spare_servers = 3\n";
  }
  ~PoolConfigTest() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  auto load(const std::string& text) { return load_fpm(write("fpm.conf", text), options_); }

  // The first message of a failed load, with the directory left out; "" when it succeeds.
  std::string fault(const std::string& text) {
    auto loaded = load(text);
    if (loaded) return "";
    return plain(loaded.error().front().text);
  }

  std::string plain(std::string text) const {
    size_t at;
    while ((at = text.find(directory_)) != std::string::npos)
      text.replace(at, directory_.size(), "DIR");
    return text;
  }

  std::string directory_, global_, base_;
  FpmOptions options_;
};

struct Row {
  const char *extra, *fault;  // added to the base pool; "" when it is fine
};

const Row kPoolRows[] = {
    {"", ""},
    {"foo = 1", "[DIR/fpm.conf:11] unknown entry 'foo'"},
    {"foo[x] = 1", "[DIR/fpm.conf:11] unknown directive 'foo'"},
    {"env[] = 1", "[DIR/fpm.conf:11] You must provide a key for field 'env'"},
    {"env[x] =", "[DIR/fpm.conf:11] empty value"},
    {"chdir", "[DIR/fpm.conf:11] value is NULL for a ZEND_INI_PARSER_ENTRY"},
    {"# comment", "[DIR/fpm.conf:11] value is NULL for a ZEND_INI_PARSER_ENTRY"},
    {"x = !", "PHP:  syntax error, unexpected END_OF_LINE in Unknown on line 2"},
    {"sandbox = on", "[DIR/fpm.conf:11] unknown entry 'sandbox'"},
    {"user = no-such-user", "[pool a] cannot get uid for user 'no-such-user'"},
    {"group = no-such-group", "[pool a] cannot get gid for group 'no-such-group'"},
    {"user = 99999", ""},
    {"listen.owner = no-such-user", "[pool a] cannot get uid for user 'no-such-user': Success (0)"},
    {"listen =", "[pool a] no listen address have been defined!"},
    {"process.priority = -20", "[pool a] process.priority must be included into [-19,20]"},
    {"process.priority = -19", ""},
    {"process.priority = 20", ""},
    {"process.priority = 21", "[pool a] process.priority must be included into [-19,20]"},
    {"pm = foo",
     "[DIR/fpm.conf:11] unable to parse value for entry 'pm': invalid process manager (static, "
     "dynamic or ondemand)"},
    {"pm.max_children = 0", "[pool a] pm.max_children must be a positive value"},
    {"pm.max_children = 3", ""},
    {"pm.max_children = x",
     "[DIR/fpm.conf:11] unable to parse value for entry 'pm.max_children': is not a valid number "
     "(greater or equal than zero)"},
    {"pm.min_spare_servers = 0", "[pool a] pm.min_spare_servers(0) must be a positive value"},
    {"pm.max_spare_servers = 0", "[pool a] pm.max_spare_servers(0) must be a positive value"},
    {"pm.max_spare_servers = 5", ""},
    {"pm.max_spare_servers = 6",
     "[pool a] pm.min_spare_servers(1) and pm.max_spare_servers(6) cannot be greater than "
     "pm.max_children(5)"},
    {"pm.min_spare_servers = 4",
     "[pool a] pm.max_spare_servers(3) must not be less than pm.min_spare_servers(4)"},
    {"pm.start_servers = 3", ""},
    {"pm.start_servers = 4",
     "[pool a] pm.start_servers(4) must not be less than pm.min_spare_servers(1) and not greater "
     "than pm.max_spare_servers(3)"},
    {"pm.max_spawn_rate = 1", ""},
    {"pm.max_spawn_rate = 0", "[pool a] pm.max_spawn_rate must be a positive value"},
    {"pm = ondemand\npm.process_idle_timeout = 1", ""},
    {"pm = ondemand\npm.process_idle_timeout = 0",
     "[pool a] pm.process_idle_timeout(0s) must be greater than 0s"},
    {"pm.process_idle_timeout =",
     "[DIR/fpm.conf:11] unable to parse value for entry 'pm.process_idle_timeout': invalid time "
     "value"},
    {"pm.process_idle_timeout = 1y",
     "[DIR/fpm.conf:11] unable to parse value for entry 'pm.process_idle_timeout': unknown suffix "
     "used in time value"},
    {"pm.status_path = foo", "[pool a] the status path 'foo' must start with a '/'"},
    {"pm.status_path = /", "[pool a] the status path '/' is not long enough"},
    {"pm.status_path = /s", ""},
    {"pm.status_path = \"/a!\"",
     "[pool a] the status path '/a!' must contain only the following characters "
     "'[alphanum]/_-.~'"},
    {"ping.path = /", "[pool a] the ping path '/' is not long enough"},
    {"ping.path = /p\nping.response =", "[pool a] the ping response page '' is not long enough"},
    {"pm.status_listen =", "[pool a_status] no listen address have been defined!"},
    {"request_slowlog_timeout = 5",
     "[pool a] 'slowlog' must be specified for use with 'request_slowlog_timeout'"},
    {"slowlog = /nonexistent/x\nrequest_slowlog_timeout = 5",
     "Unable to create or open slowlog(/nonexistent/x): No such file or directory (2)"},
    {"slowlog = /tmp/slow\nrequest_slowlog_timeout = 5\nrequest_terminate_timeout = 5", ""},
    {"slowlog = /tmp/slow\nrequest_slowlog_timeout = 6\nrequest_terminate_timeout = 5",
     "[pool a] 'request_slowlog_timeout' (6) can't be greater than 'request_terminate_timeout' "
     "(5)"},
    {"request_slowlog_trace_depth = 5",
     "[pool a] 'slowlog' must be specified for use with 'request_slowlog_trace_depth'"},
    {"slowlog = /tmp/slow\nrequest_slowlog_trace_depth = -1",
     "[pool a] 'request_slowlog_trace_depth' (-1) must be a positive value"},
    {"chroot = /nonexistent",
     "[pool a] the chroot path '/nonexistent' does not exist or is not a directory"},
    {"chroot = x$prefix", "'$prefix' must be use at the beginning of the value"},
    {"chdir = /nonexistent",
     "[pool a] the chdir path '/nonexistent' does not exist or is not a directory"},
    {"chroot = /tmp\nchdir = /nonexistent",
     "[pool a] the chdir path '/nonexistent' within the chroot path '/tmp' ('/tmp//nonexistent') "
     "does not exist or is not a directory"},
    {"prefix = /nonexistent",
     "[pool a] the prefix '/nonexistent' does not exist or is not a directory"},
    {"access.log = /nonexistent/x",
     "failed to open access log (/nonexistent/x): No such file or directory (2)"},
    {"access.log = /tmp/bulkhead-access-log\naccess.format = %z",
     "Invalid token in the access.format (%z)"},
    {"access.log = /tmp/bulkhead-access-log\naccess.format = \"%{x}R\"",
     "embrace is not allowed for modifier %R"},
    {"access.log = /tmp/bulkhead-access-log\naccess.format = \"%{x}C\"",
     "only 'total', 'user' or 'system' are allowed as a modifier for %C ('x')"},
    {"access.suppress_path[] = foo",
     "[DIR/fpm.conf:11] Values provided to field 'access.suppress_path' must begin with '/'"},
    {"access.suppress_path[x] = /foo",
     "[DIR/fpm.conf:11] Keys provided to field 'access.suppress_path' are ignored"},
    {"catch_workers_output = 2",
     "[DIR/fpm.conf:11] unable to parse value for entry 'catch_workers_output': invalid boolean "
     "value"},
    {"php_flag[x] = maybe",
     "[DIR/fpm.conf:11] error while parsing 'php_flag[x]' : invalid boolean value"},
    {"rlimit_core = unlimited", ""},
    {"rlimit_core = -1",
     "[DIR/fpm.conf:11] unable to parse value for entry 'rlimit_core': must be greater than zero "
     "or 'unlimited'"},
    {"[b]\nlisten = /x", "[pool b] user has not been defined"},
    {"[b]\nuser = root\nlisten = /x",
     "[pool b] the process manager is missing (static, dynamic or ondemand)"},
    {"include = /nonexistent/*.conf",
     "Unable to globalize '/nonexistent/*.conf' (ret=2) from DIR/fpm.conf at line 11."},
};

TEST_F(PoolConfigTest, ChecksPoolsInPhpFpmsWords) {
  for (const Row& row : kPoolRows)
    EXPECT_EQ(fault(base_ + row.extra + "\n"), row.fault) << row.extra;
}

TEST_F(PoolConfigTest, ChecksTheGlobalSection) {
  const Row rows[] = {
      {"log_limit = 512", ""},
      {"log_limit = 511", "log_limit must be greater than 512"},
      {"process.max = -1", "process_max can't be negative"},
      {"process.priority = -20", "process.priority must be included into [-19,20]"},
      {"events.mechanism = EPOLL", ""},
      {"events.mechanism = foo", "event mechanism 'foo' is not available on this system"},
      {"log_level = foo",
       "[DIR/fpm.conf:3] unable to parse value for entry 'log_level': invalid value for "
       "'log_level'"},
      {"syslog.facility = foo",
       "[DIR/fpm.conf:3] unable to parse value for entry 'syslog.facility': invalid value"},
      {"user = x", "[DIR/fpm.conf:3] unknown entry 'user'"},
      {"env[x] = 1", "[DIR/fpm.conf:3] Array are not allowed in the global section"},
      {"error_log = /nonexistent/x",
       "failed to open error_log (/nonexistent/x): No such file or directory (2)"},
      {"error_log = /tmp", "failed to open error_log (/tmp): Is a directory (21)"},
      {"error_log = syslog", ""},
  };
  std::string pool = base_.substr(global_.size());
  for (const Row& row : rows)
    EXPECT_EQ(fault(global_ + row.extra + "\n" + pool), row.fault) << row.extra;
}

TEST_F(PoolConfigTest, FailsWithEveryLineOfPhpFpm) {
  auto loaded = load(base_ + "foo = 1\n");
  ASSERT_FALSE(loaded);
  ASSERT_EQ(loaded.error().size(), 2u);
  EXPECT_EQ(plain(loaded.error()[1].text), "failed to load configuration file 'DIR/fpm.conf'");
  loaded = load(base_ + "pm.max_children = 0\n");
  ASSERT_EQ(loaded.error().size(), 2u);
  EXPECT_EQ(loaded.error()[0].level, FpmLevel::kAlert);
  EXPECT_EQ(loaded.error()[1].text, "failed to post process the configuration");
}

TEST_F(PoolConfigTest, NamesAMissingFile) {
  auto loaded = load_fpm(directory_ + "/none", options_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(plain(loaded.error()[0].text),
            "failed to open configuration file 'DIR/none': No such file or directory (2)");
  options_.prefix = "/nonexistent";
  EXPECT_EQ(load_fpm(directory_ + "/none", options_).error()[0].text,
            "the global prefix '/nonexistent' does not exist or is not a directory");
}

TEST_F(PoolConfigTest, RefusesAConfigurationWithoutPools) {
  EXPECT_EQ(fault(global_),
            "No pool defined. at least one pool section must be specified in config file");
}

TEST_F(PoolConfigTest, RefusesTwoPoolsAtOneAddress) {
  std::string other = "[b]\nuser = root\npm = static\npm.max_children = 1\nlisten = ";
  EXPECT_EQ(fault(base_ + other + directory_ + "/a.sock\n"),
            "[pool b] unable to set listen address as it's already used in another pool 'a'");
  EXPECT_EQ(fault(base_ + other + directory_ + "/b.sock\n"), "");
  EXPECT_EQ(fault(base_ + "pm.status_listen = " + directory_ + "/a.sock\n"),
            "[pool a_status] unable to set listen address as it's already used in another pool "
            "'a'");
}

TEST_F(PoolConfigTest, MergesSectionsOfOneNameWhateverTheirCase) {
  auto loaded =
      load(base_ + "[b]\nuser=root\nlisten=/b\npm=static\npm.max_children=1\n[A]\nuser = 0\n");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->pools.size(), 2u);
  EXPECT_EQ(loaded->pools[0].name, "a");
  EXPECT_EQ(loaded->pools[0].user, "0");
}

TEST_F(PoolConfigTest, FollowsIncludesAndNamesTheTrueLine) {
  std::filesystem::create_directory(directory_ + "/d");
  write("d/1.conf", "[b]\nuser=root\nlisten=/b\npm=static\npm.max_children=1\n");
  write("d/2.conf", "[c]\nuser=root\nlisten=/c\npm=static\npm.max_children=$x\n");
  EXPECT_EQ(fault(base_ + "include=" + directory_ + "/d/*.conf\n"),
            "[DIR/d/2.conf:5] unable to parse value for entry 'pm.max_children': is not a valid "
            "number (greater or equal than zero)");
  auto loaded = load(base_ + "include=" + directory_ + "/d/1.conf\nlisten=/b2\n[a]\nfoo=1\n");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(plain(loaded.error()[0].text), "[DIR/fpm.conf:14] unknown entry 'foo'");
  loaded = load(base_ + "include=" + directory_ + "/none.conf\n");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(plain(loaded->messages[0].text),
            "Nothing matches the include pattern 'DIR/none.conf' from DIR/fpm.conf at line 11.");
  EXPECT_EQ(fault("include=" + directory_ + "/fpm.conf\n"),
            "failed to include more than 5 files recursively");
}

TEST_F(PoolConfigTest, ReplacesThePoolsName) {
  auto loaded = load(base_ + "prefix = /\nslowlog = /x/$pool/$pool.log\nenv[A] = $pool\n");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->pools[0].slowlog, "/x/a/a.log");
  EXPECT_EQ(loaded->pools[0].env[0].second, "a");
}

TEST_F(PoolConfigTest, OrdersValuesAsPhpFpmAppliesThem) {
  auto loaded = load(base_ +
                     "php_admin_value[m] = 1\nphp_value[m] = 2\nphp_value[m] = 3\n"
                     "php_flag[f] = on\nphp_admin_flag[g] = off\n");
  ASSERT_TRUE(loaded);
  std::string order;
  for (const PhpDefine& d : loaded->pools[0].php_values) order += d.name + "=" + d.value + " ";
  EXPECT_EQ(order, "f=1 m=3 m=2 g=0 m=1 ");
}

TEST_F(PoolConfigTest, TakesEnvironmentVariables) {
  setenv("BH_TEST", "v", 1);
  unsetenv("BH_TEST_UNSET");
  auto loaded = load(base_ + "env[A] = $BH_TEST\nenv[B] = $BH_TEST_UNSET\nenv[C] = x$BH_TEST\n");
  ASSERT_TRUE(loaded);
  using Env = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(loaded->pools[0].env, (Env{{"C", "x$BH_TEST"}, {"B", ""}, {"A", "v"}}));
}

TEST_F(PoolConfigTest, MakesPathsAbsolute) {
  auto loaded = load(base_ + "prefix = " + directory_ +
                     "\nlisten = x.sock\naccess.log = $pool.log\nchdir = .\n"
                     "php_value[error_log] = e\nphp_value[include_path] = i\n");
  ASSERT_TRUE(loaded) << loaded.error()[0].text;
  const PoolConfig& p = loaded->pools[0];
  EXPECT_EQ(p.listen, directory_ + "/x.sock");
  EXPECT_EQ(p.access_log, directory_ + "/a.log");
  EXPECT_EQ(p.chdir, directory_ + "/.");
  EXPECT_EQ(p.php_values[1].value, directory_ + "/e");
  EXPECT_EQ(p.php_values[0].value, "i");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/a.log"));
}

TEST_F(PoolConfigTest, SetsStartServersBetweenTheLimits) {
  auto loaded = load(base_ + "pm.start_servers = 0\n");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->pools[0].start_servers, 2);
  EXPECT_EQ(loaded->messages.at(0).text,
            "[pool a] pm.start_servers is not set. It's been set to 2.");
  loaded = load(global_ + "log_level = warning\n" + base_.substr(global_.size()) +
                "pm.start_servers = 0\n");
  EXPECT_TRUE(loaded->messages.empty());
}

TEST_F(PoolConfigTest, RefusesRootOnlyWhenStarting) {
  EXPECT_EQ(fault(base_), "");
  options_.test = false;
  EXPECT_EQ(fault(base_), "[pool a] please specify user and group other than root");
  options_.allow_root = true;
  EXPECT_EQ(fault(base_), "");
  EXPECT_EQ(fault(base_ + "listen.acl_users = root,no-such-user\n"),
            "[pool a] cannot get uid for user 'no-such-user': Success (0)");
  EXPECT_EQ(fault(base_ + "listen = 127.0.0.1:0\n"), "invalid port value '0'");
}

TEST_F(PoolConfigTest, NotesWhatIsIgnoredWithoutRoot) {
  options_.test = options_.as_root = false;
  auto loaded = load(base_ + "group = x\n");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->messages.at(0).text,
            "[pool a] 'user' directive is ignored when FPM is not running as root");
  EXPECT_EQ(loaded->messages.at(1).text,
            "[pool a] 'group' directive is ignored when FPM is not running as root");
}

TEST_F(PoolConfigTest, KnowsItsOwnKeys) {
  options_.bulkhead_keys = true;
  auto loaded = load(base_ +
                     "sandbox = off\nsandbox.read[] = /a\nsandbox.write[] = /$pool\n"
                     "limit.memory = 1G\nphp = 8.2\nidle_timeout = 5m\n");
  ASSERT_TRUE(loaded) << loaded.error()[0].text;
  const PoolConfig& p = loaded->pools[0];
  EXPECT_EQ(p.sandbox, "off");
  EXPECT_EQ(p.sandbox_write, std::vector<std::string>{"/a"});
  EXPECT_EQ(p.idle_timeout_s, 300);
  EXPECT_EQ(fault(base_ + "sandbox.read[] = a\n"),
            "[DIR/fpm.conf:11] Values provided to field 'sandbox.read' must begin with '/'");
}

TEST_F(PoolConfigTest, DumpsDefaultsAsPhpFpm) {
  auto loaded = load(base_);
  ASSERT_TRUE(loaded);
  std::string text;
  for (const std::string& line : dump_fpm(*loaded)) text += plain(line) + "\n";
  EXPECT_TRUE(
      text.starts_with("[global]\n\tpid = undefined\n\terror_log = DIR/error.log\n"
                       "\tsyslog.ident = php-fpm\n\tsyslog.facility = 24\n"
                       "\tlog_buffering = yes\n\tlog_level = unknown value\n"))
      << text;
  EXPECT_NE(text.find("\tsystemd_interval = 10s\n \n[a]\n\tprefix = undefined\n\tuser = root\n"
                      "\tgroup = undefined\n\tlisten = DIR/a.sock\n\tlisten.backlog = -1\n"),
            std::string::npos)
      << text;
  EXPECT_TRUE(text.ends_with("\tclear_env = yes\n\tsecurity.limit_extensions = .php .phar\n \n"));
}

TEST_F(PoolConfigTest, SaysWhatHasNoEffectYet) {
  options_.bulkhead_keys = true;
  auto loaded = load(global_ + "process.max = 5\n" + base_.substr(global_.size()) +
                     "apparmor_hat = x\nrequest_slowlog_timeout = 0\nclear_env = no\n");
  ASSERT_TRUE(loaded);
  std::string text;
  for (const FpmMessage& m : fpm_not_in_force(*loaded)) text += m.text + "|";
  EXPECT_EQ(text,
            "'process.max' is not in force in this version|"
            "[pool a] 'request_slowlog_timeout' is not in force in this version|"
            "[pool a] 'apparmor_hat' is not in force in this version|");
}

TEST_F(PoolConfigTest, SurvivesItsByteForm) {
  options_.bulkhead_keys = true;
  auto loaded = load(base_ +
                     "env[A] = b\nphp_admin_value[c] = d\nsandbox.read[] = /a\nlimit.io = 5M\n"
                     "clear_env = no\nslowlog = /s\nsecurity.limit_extensions = .php .x\n");
  ASSERT_TRUE(loaded);
  const PoolConfig& before = loaded->pools[0];
  std::string bytes = serialise(before);
  auto after = deserialise_pool(bytes);
  ASSERT_TRUE(after);
  EXPECT_EQ(serialise(*after), bytes);
  EXPECT_EQ(after->env, before.env);
  EXPECT_EQ(after->limit_extensions, before.limit_extensions);
  EXPECT_EQ(after->limit_io, "5M");
  EXPECT_FALSE(after->clear_env);
  for (size_t size = 0; size < bytes.size(); size++)
    EXPECT_FALSE(deserialise_pool(std::string_view(bytes).substr(0, size)));
  EXPECT_FALSE(deserialise_pool(bytes + "x"));
}

TEST_F(PoolConfigTest, LoadsTenThousandPoolsInASecond) {
  std::filesystem::create_directory(directory_ + "/pool.d");
  for (int i = 0; i < 10'000; i++) {
    std::string n = std::to_string(i);
    write("pool.d/" + n + ".conf",
          "[site" + n + "]\nuser = nobody\ngroup = nogroup\nlisten = /run/" + n +
              ".sock\nlisten.owner = www-data\nlisten.group = www-data\npm = ondemand\n"
              "pm.max_children = 5\nphp_admin_value[open_basedir] = /srv/" +
              n + "\n");
  }
  std::clock_t start = std::clock();
  auto loaded = load_fpm_pools({directory_ + "/pool.d/*.conf"}, options_);
  double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  ASSERT_TRUE(loaded) << loaded.error()[0].text;
  EXPECT_EQ(loaded->pools.size(), 10'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(seconds, 1.0);
#endif
}

TEST_F(PoolConfigTest, TakesNoPoolsFromPatternsWithoutMatch) {
  auto loaded = load_fpm_pools({directory_ + "/none/*.conf", directory_ + "/*.none"}, options_);
  EXPECT_FALSE(loaded);
  loaded = load_fpm_pools({directory_ + "/*.none"}, options_);
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->pools.empty());
}

}  // namespace
}  // namespace bulkhead::config
