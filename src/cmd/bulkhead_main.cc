// bulkhead: what people type.  Understands the command line, does what needs no server itself, and
// becomes bulkhead-master for the rest.  Called as nginx or php-fpm it takes their command lines.
//
// Runs in: bulkhead.  Input: the administrator's command line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/complete.h"
#include "cli/describe.h"
#include "cli/scripts.h"
#include "cli/usage.h"
#include "master/commands.h"
#include "master/exec_command.h"
#include "master/fpm_cli.h"
#include "master/load.h"
#include "master/master.h"
#include "master/nginx_cli.h"
#include "sandbox/state_dir.h"
#include "sys/process.h"
#include "top/top.h"

namespace bulkhead {
namespace {

using master::Options;
using master::Test;

// The words after the program's name, as `ps` shows them behind "master process".
std::string joined(const std::string& first, std::span<char* const> words) {
  std::string out = first;
  for (const char* word : words) out.append(" ").append(word);
  return out;
}

int run_nginx(const std::string& name, std::span<char* const> words) {
  master::NginxCli cli = master::parse_nginx_cli(words);
  if (!cli.error.empty()) {
    std::fprintf(stderr, "nginx: %s\n", cli.error.c_str());
    return 1;
  }
  if (cli.version) {
    std::fputs(master::nginx_version_text(cli).c_str(), stderr);
    if (cli.options.test == Test::kNo) return 0;
  }
  if (cli.options.test != Test::kNo) return master::test_configuration(cli.options);
  if (!cli.signal.empty()) return master::signal_nginx(cli.options, cli.signal);
  cli.options.command_line = joined(name, words);
  return master::become_master(cli.options);
}

int run_fpm(const std::string& name, std::span<char* const> words) {
  master::FpmCli cli = master::parse_fpm_cli(words);
  using Ask = master::FpmCli::Ask;
  switch (cli.ask) {
    case Ask::kHelp:
      std::fputs(master::fpm_usage().data(), stdout);
      return 0;
    case Ask::kUsageError:
      std::fputs(master::fpm_usage().data(), stdout);
      return master::kExitUsage;
    case Ask::kVersion:
      return master::become_php(cli.options, "-v");
    case Ask::kModules:
      return master::become_php(cli.options, "-m");
    case Ask::kInfo:
      return master::become_php(cli.options, "-i");
    case Ask::kServe:
      break;
  }
  if (cli.options.fpm_conf.empty()) cli.options.fpm_conf = master::default_fpm_conf();
  cli.options.command_line = joined(name, words);
  if (cli.options.test != Test::kNo) return master::test_configuration(cli.options);
  return master::become_master(cli.options);
}

// Where the configuration is: --nginx and --fpm, or --config; /etc/bulkhead/bulkhead.conf else.
struct Places {
  std::string config{master::kBulkheadConf}, nginx, fpm, pid, prefix, state;
  void add_to(CLI::App* verb) {
    verb->add_option("--config", config, "Bulkhead's own configuration file")
        ->type_name("FILE")
        ->capture_default_str();
    verb->add_option("--nginx", nginx, "an nginx.conf to serve")->type_name("FILE");
    verb->add_option("--fpm", fpm, "a php-fpm.conf whose pools to serve")->type_name("FILE");
    verb->add_option("--pid", pid, "pid file, instead of the one the configuration names")
        ->type_name("FILE");
    verb->add_option(
            "--state", state,
            "the sites' private directories (default " + std::string(sandbox::kDefaultState) + ")")
        ->type_name("DIR");
    verb->add_option("--prefix", prefix, "where relative paths of the nginx language start")
        ->type_name("DIR");
  }
  [[nodiscard]] Options options() const {
    Options o;
    o.bulkhead_conf = nginx.empty() && fpm.empty();
    o.nginx_conf = o.bulkhead_conf ? config : nginx;
    o.fpm_conf = fpm;
    o.pid = pid;
    o.state = state;
    o.prefix = prefix.empty() ? std::string(master::kNginxPrefix) : prefix;
    if (!o.prefix.ends_with('/')) o.prefix += '/';
    make_absolute(&o.nginx_conf);
    make_absolute(&o.fpm_conf);
    make_absolute(&o.state);
    return o;
  }
  // A person's relative path starts where the person is.
  static void make_absolute(std::string* path) {
    if (path->empty() || path->starts_with('/')) return;
    char* here = ::realpath(path->c_str(), nullptr);
    if (here != nullptr) *path = here;
    std::free(here);
    if (path->starts_with('/')) return;
    char* cwd = ::realpath(".", nullptr);
    if (cwd != nullptr) *path = std::string(cwd) + "/" + *path;
    std::free(cwd);
  }
};

// `bulkhead top`: its options, and what is to be run when it was asked for.
class TopVerb {
 public:
  CLI::App* add_to(CLI::App* app) {
    verb_ =
        app->add_subcommand("top", "show the sites live: requests, CPU, memory, latency, workers");
    std::vector<std::string> keys;
    for (const top::SortKey& one : top::kSortKeys) keys.emplace_back(one.name);
    verb_->add_option("-d,--delay", delay_s_, "seconds between two looks")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    verb_->add_option("-s,--sort", sort_, "largest first by this")
        ->check(CLI::IsMember(keys))
        ->capture_default_str();
    verb_->add_option("-f,--filter", settings_.filter, "only sites whose name contains this");
    verb_->add_flag("-b,--batch", settings_.batch, "print tables; for scripts");
    verb_->add_option("-n,--count", settings_.tables, "with --batch: how many (0: no end)");
    verb_->add_flag("--once", once_, "print one table, of one --delay");
    return verb_;
  }
  [[nodiscard]] bool parsed() const { return verb_->parsed(); }
  int run(const Options& options) {
    auto path = master::find_pid_path(options);
    if (!path) {
      std::fprintf(stderr, "bulkhead top: %s\n", path.error().describe().c_str());
      return 3;
    }
    settings_.pid_path = *path;
    for (const top::SortKey& one : top::kSortKeys) {
      if (one.name == sort_) settings_.sort = one.sort;
    }
    settings_.interval = std::chrono::milliseconds(static_cast<int64_t>(delay_s_ * 1000));
    if (once_) settings_.tables = 1;
    settings_.batch = settings_.batch || once_;
    return top::run(settings_);
  }

 private:
  CLI::App* verb_ = nullptr;
  top::Settings settings_;
  std::string sort_ = "requests";
  double delay_s_ = 2;
  bool once_ = false;
};

constexpr const char* kMore =
    "\nbulkhead nginx ARGS and bulkhead php-fpm ARGS take the command lines of those programs "
    "(also\n"
    "through a symbolic link named nginx or php-fpm).\n";

// What other programs, or other parsers than CLI11, take after a verb of ours.
void complete_verbs(cli::Command* all) {
  auto verb = [&](std::string_view name) -> cli::Command& {
    for (cli::Command& command : all->commands) {
      if (command.name == name) return command;
    }
    return all->commands.emplace_back(cli::Command{std::string(name), "", {}, {}, {}, false, ""});
  };
  for (const char* name : {"site", "verify", "import"})
    verb(name).program = std::string("bulkhead-") + name;
  cli::Command& exec = verb("exec");
  exec.options_first = true;
  exec.positionals = {{{"SITE", {}}, false}, {{"COMMAND", {}}, false}, {{"FILE", {}}, true}};
  for (const master::ExecOption& row : master::exec_options()) {
    cli::Option& option = exec.options.emplace_back();
    option.names.emplace_back(row.name);
    if (!row.letter.empty()) option.names.emplace_back(row.letter);
    option.value.kind = row.value;
    option.help = row.help;
    option.repeats = row.name == "--env";
  }
  master::NginxCli nginx;
  nginx.help = true;
  verb("nginx") = cli::from_usage("nginx", "nginx's command line", nginx_version_text(nginx));
  verb("php-fpm") = cli::from_usage("php-fpm", "php-fpm's command line", master::fpm_usage());
}

// `bulkhead completion words -- ...`, what the scripts call: candidates for the last word.
int complete_words(cli::Command all, std::span<char* const> words) {
  complete_verbs(&all);
  if (!words.empty() && std::string_view(words[0]) == "--") words = words.subspan(1);
  const std::vector<std::string> typed(words.begin(), words.end());
  const cli::Answer answer = cli::complete(all, typed, cli::names_of_machine);
  if (!answer.program.empty()) return master::become_completer(answer.program, answer.words);
  return std::fputs(cli::to_text(answer).c_str(), stdout) < 0 ? 1 : 0;
}

int print_script(const std::string& shell) {
  for (const cli::Script& script : cli::completion_scripts()) {
    if (script.shell != shell) continue;
    return std::fwrite(script.text.data(), 1, script.text.size(), stdout) == script.text.size() ? 0
                                                                                                : 1;
  }
  return master::kExitUsage;
}

int run_verbs(int argc, char** argv) {
  CLI::App app("Serves many PHP sites from one machine so that none can hurt another.", "bulkhead");
  app.footer(kMore);
  app.set_version_flag("--version", "bulkhead " BH_VERSION);
  app.require_subcommand(0, 1);
  Places places;
  bool json = false, metrics = false, dump = false, quiet = false, also_test = false;
  CLI::App* serve = app.add_subcommand("serve", "serve in the foreground until told to stop");
  CLI::App* test = app.add_subcommand("test", "check the configuration and exit");
  CLI::App* status = app.add_subcommand("status", "show processes, sites and workers");
  TopVerb top;
  std::vector<CLI::App*> verbs{serve, test, status, top.add_to(&app)};
  for (auto [name, help] : {std::pair{"reload", "put a changed configuration in force"},
                            {"reopen", "open log files anew, after they were rotated"},
                            {"stop", "stop at once"},
                            {"quit", "finish running requests, then stop"}}) {
    verbs.push_back(app.add_subcommand(name, help));
  }
  for (CLI::App* verb : verbs) places.add_to(verb);
  app.add_subcommand("site", "add, show, change, remove sites (site --help)");  // likewise run()
  app.add_subcommand("exec", "run a command as a site, inside its sandbox");    // run() takes it
  app.add_subcommand("import", "adopt an existing nginx and php-fpm (import --help)");
  app.add_subcommand("verify", "attack each site from each other one, and report (verify --help)");
  CLI::App* completion = app.add_subcommand("completion", "print a script for bash, zsh or fish");
  std::string shell;
  completion->add_option("shell", shell, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  if (argc > 2 && std::string_view(argv[1]) == "completion" &&
      std::string_view(argv[2]) == "words") {
    return complete_words(cli::describe(app), {argv + 3, static_cast<size_t>(argc - 3)});
  }
  serve->add_flag("-t,--test", also_test, "check the configuration and exit");
  test->add_flag("--dump", dump, "print the configuration as it was read");
  test->add_flag("-q,--quiet", quiet, "print only errors and warnings");
  auto* as_json = status->add_flag("--json", json, "as JSON");
  status->add_flag("--prometheus", metrics, "as metrics in Prometheus' text format")
      ->excludes(as_json);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli::end_parse(app, error, {argv + 1, static_cast<size_t>(argc - 1)},
                          master::kExitUsage);
  }
  if (app.get_subcommands().empty()) {
    std::fputs(app.help().c_str(), stderr);
    return master::kExitUsage;
  }
  if (completion->parsed()) return print_script(shell);
  Options options = places.options();
  if (test->parsed() || also_test) {
    options.test = dump ? Test::kDump : Test::kTest;
    options.quiet = quiet;
    return master::test_configuration(options);
  }
  if (status->parsed()) {
    using master::Form;
    return master::show_status(options, json      ? Form::kJson
                                        : metrics ? Form::kMetrics
                                                  : Form::kTable);
  }
  if (top.parsed()) return top.run(options);
  if (serve->parsed()) {
    options.command_line = joined("bulkhead", {argv + 1, static_cast<size_t>(argc - 1)});
    if (int code = master::recover_sites(options); code != 0) return code;
    return master::become_master(options);
  }
  return master::signal_bulkhead(options, app.get_subcommands().front()->get_name());
}

bool is_nginx(std::string_view name) { return name == "nginx" || name == "bulkhead-nginx"; }
bool is_fpm(std::string_view name) {
  return name.starts_with("php-fpm") || name == "bulkhead-php-fpm";
}

int run(int argc, char** argv) {
  std::string called(argc > 0 ? argv[0] : "bulkhead");
  std::string name = called.substr(called.rfind('/') + 1);
  std::span<char* const> words(argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0));
  if (is_nginx(name)) return run_nginx(called, words);
  if (is_fpm(name)) return run_fpm(called, words);
  if (!words.empty() && std::string_view(words[0]) == "nginx") {
    return run_nginx("nginx", words.subspan(1));
  }
  if (!words.empty() && std::string_view(words[0]) == "php-fpm") {
    return run_fpm("php-fpm", words.subspan(1));
  }
  if (!words.empty() && std::string_view(words[0]) == "exec") {
    return master::run_exec(words.subspan(1));
  }
  if (!words.empty() && std::string_view(words[0]) == "verify") {
    return master::become_verify(words.subspan(1));
  }
  if (!words.empty() && std::string_view(words[0]) == "import") {
    return master::become_import(words.subspan(1));
  }
  if (!words.empty() && std::string_view(words[0]) == "site") {
    return master::become_site(words.subspan(1));
  }
  // `bulkhead -t` is short for `bulkhead test`.
  if (!words.empty() && std::string_view(words[0]) == "-t") {
    static char verb[] = "test";
    argv[1] = verb;
  }
  return run_verbs(argc, argv);
}

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) { return bulkhead::run(argc, argv); }
