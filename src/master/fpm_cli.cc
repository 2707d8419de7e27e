#include "master/fpm_cli.h"

namespace bulkhead::master {
namespace {

constexpr std::string_view kUsage =
    "Usage: php [-n] [-e] [-h] [-i] [-m] [-v] [-t] [-p <prefix>] [-g <pid>] [-c <file>] "
    "[-d foo[=bar]] [-y <file>] [-D] [-F [-O]]\n"
    "  -c <path>|<file> Look for php.ini file in this directory\n"
    "  -n               No php.ini file will be used\n"
    "  -d foo[=bar]     Define INI entry foo with value 'bar'\n"
    "  -e               Generate extended information for debugger/profiler\n"
    "  -h               This help\n"
    "  -i               PHP information\n"
    "  -m               Show compiled in modules\n"
    "  -v               Version number\n"
    "  -p, --prefix <dir>\n"
    "                   Specify alternative prefix path to FastCGI process manager (default: "
    "/usr).\n"
    "  -g, --pid <file>\n"
    "                   Specify the PID file location.\n"
    "  -y, --fpm-config <file>\n"
    "                   Specify alternative path to FastCGI process manager config file.\n"
    "  -t, --test       Test FPM configuration and exit\n"
    "  -D, --daemonize  force to run in background, and ignore daemonize option from config file\n"
    "  -F, --nodaemonize\n"
    "                   force to stay in foreground, and ignore daemonize option from config file\n"
    "  -O, --force-stderr\n"
    "                   force output to stderr in nodaemonize even if stderr is not a TTY\n"
    "  -R, --allow-to-run-as-root\n"
    "                   Allow pool to run as root (disabled by default)\n";

constexpr char kState = '\1';  // has no short form

struct Known {
  char letter;
  std::string_view word;
  bool takes_value;
};
constexpr Known kKnown[] = {
    {'c', "", true},
    {'n', "no-php-ini", false},
    {'d', "define", true},
    {'e', "profile-info", false},
    {'h', "help", false},
    {'?', "usage", false},
    {'i', "info", false},
    {'m', "modules", false},
    {'v', "version", false},
    {'p', "prefix", true},
    {'g', "pid", true},
    {'y', "fpm-config", true},
    {'t', "test", false},
    {'D', "daemonize", false},
    {'F', "nodaemonize", false},
    {'O', "force-stderr", false},
    {'R', "allow-to-run-as-root", false},
    {kState, "state", true},  // Bulkhead's own
};

// `php-fpm -c` has the long form --php-ini.
const Known* find_long(std::string_view name) {
  if (name == "php-ini") return &kKnown[0];
  for (const Known& k : kKnown) {
    if (!k.word.empty() && k.word == name) return &k;
  }
  return nullptr;
}
const Known* find_short(char letter) {
  for (const Known& k : kKnown) {
    if (k.letter == letter) return &k;
  }
  return nullptr;
}

void apply(FpmCli* cli, char letter, const std::string& value) {
  Options& o = cli->options;
  switch (letter) {
    case 'c':
      o.php_args.insert(o.php_args.end(), {"-c", value});
      break;
    case 'd':
      o.php_args.insert(o.php_args.end(), {"-d", value});
      break;
    case 'n':
      o.php_args.push_back("-n");
      break;
    case 'e':
      o.php_args.push_back("-e");
      break;
    case 'p':
      o.prefix = value;
      break;
    case 'g':
      o.pid = value;
      break;
    case 'y':
      o.fpm_conf = value;
      break;
    case 't':
      o.test = o.test == Test::kNo ? Test::kTest : Test::kDump;
      break;
    case kState:
      o.state = value;
      break;
    case 'D':
      o.daemonize = true;
      break;
    case 'F':
      o.daemonize = false;
      break;
    case 'O':
      o.force_stderr = true;
      break;
    case 'R':
      o.allow_root = true;
      break;
    case 'i':
      cli->ask = FpmCli::Ask::kInfo;
      break;
    case 'm':
      cli->ask = FpmCli::Ask::kModules;
      break;
    case 'v':
      cli->ask = FpmCli::Ask::kVersion;
      break;
    default:
      cli->ask = FpmCli::Ask::kHelp;
      break;  // -h, -?
  }
}

// Answers that end the run at once; the first one on the line wins, as in php-fpm.
bool ends_here(const FpmCli& cli) { return cli.ask != FpmCli::Ask::kServe; }

class Words {
 public:
  explicit Words(std::span<char* const> all) : all_(all) {}
  [[nodiscard]] bool more() const { return at_ < all_.size(); }
  std::string_view next() { return all_[at_++]; }

 private:
  std::span<char* const> all_;
  size_t at_ = 0;
};

// One "--name[=value]" word.  False: a usage error.
bool take_long(FpmCli* cli, std::string_view word, Words* words) {
  size_t equals = word.find('=');
  const Known* known = find_long(word.substr(0, equals));
  if (known == nullptr) return false;
  std::string value;
  if (known->takes_value) {
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (words->more()) {
      value = words->next();
    } else {
      return false;
    }
  }
  apply(cli, known->letter, value);
  return true;
}

// One word of short options.  False: a usage error.
bool take_short(FpmCli* cli, std::string_view word, Words* words) {
  for (size_t i = 0; i < word.size(); ++i) {
    const Known* known = find_short(word[i]);
    if (known == nullptr) return false;
    std::string value;
    if (known->takes_value) {
      std::string_view rest = word.substr(i + 1);
      if (rest.starts_with('=')) rest.remove_prefix(1);
      if (!rest.empty()) {
        value = rest;
      } else if (words->more()) {
        value = words->next();
      } else {
        return false;
      }
    }
    apply(cli, known->letter, value);
    if (known->takes_value || ends_here(*cli)) break;
  }
  return true;
}

}  // namespace

std::string_view fpm_usage() { return kUsage; }

FpmCli parse_fpm_cli(std::span<char* const> arguments) {
  FpmCli cli;
  cli.options.kind = Kind::kFpm;
  Words words(arguments);
  while (words.more() && !ends_here(cli)) {
    std::string_view word = words.next();
    bool ok = false;
    if (word.starts_with("--")) {
      ok = take_long(&cli, word.substr(2), &words);
    } else if (word.size() > 1 && word.starts_with('-')) {
      ok = take_short(&cli, word.substr(1), &words);
    }
    if (!ok) {
      cli.ask = FpmCli::Ask::kUsageError;
      return cli;
    }
  }
  return cli;
}

}  // namespace bulkhead::master
