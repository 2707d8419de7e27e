#include "master/nginx_cli.h"

namespace bulkhead::master {
namespace {

constexpr std::string_view kUsage =
    "Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]\n"
    "             [-e filename] [-c filename] [-g directives]\n"
    "\n"
    "Options:\n"
    "  -?,-h         : this help\n"
    "  -v            : show version and exit\n"
    "  -V            : show version and configure options then exit\n"
    "  -t            : test configuration and exit\n"
    "  -T            : test configuration, dump it and exit\n"
    "  -q            : suppress non-error messages during configuration testing\n"
    "  -s signal     : send signal to a master process: stop, quit, reopen, reload\n"
    "  -p prefix     : set prefix path (default: /usr/share/nginx/)\n"
    "  -e filename   : set error log file (default: stderr)\n"
    "  -c filename   : set configuration file (default: /etc/nginx/nginx.conf)\n"
    "  -g directives : set global directives out of configuration file\n"
    "\n";

// Only what this build really does: modules nginx has by default and we lack are named too, because
// scripts and test suites decide by this line.
constexpr std::string_view kConfigure =
    "configure arguments: --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf"
    " --http-log-path=/var/log/nginx/access.log --error-log-path=stderr --pid-path=/run/nginx.pid"
    " --with-pcre --with-pcre-jit --with-http_stub_status_module"
    " --without-http_gzip_module --without-http_ssi_module --without-http_userid_module"
    " --without-http_auth_basic_module --without-http_mirror_module --without-http_geo_module"
    " --without-http_split_clients_module --without-http_referer_module"
    " --without-http_proxy_module --without-http_uwsgi_module --without-http_scgi_module"
    " --without-http_grpc_module --without-http_memcached_module --without-http_limit_conn_module"
    " --without-http_limit_req_module --without-http_browser_module --without-http-cache"
    " --without-http_upstream_hash_module --without-http_upstream_random_module"
    " --without-http_upstream_zone_module\n";

// An option that takes a value: from the rest of this word, or the next one.
struct Valued {
  char letter;
  std::string Options::*field;
  std::string_view missing;
};
constexpr Valued kValued[] = {
    {'p', &Options::prefix, "requires directory name"},
    {'e', &Options::error_log, "requires file name"},
    {'c', &Options::nginx_conf, "requires file name"},
    {'g', &Options::global_directives, "requires parameter"},
};

bool known_signal(std::string_view s) {
  return s == "stop" || s == "quit" || s == "reopen" || s == "reload";
}

// Takes one letter of a word of options.  True: the rest of the word was its value.
bool take_letter(NginxCli* cli, std::string_view word, size_t at, std::span<char* const> arguments,
                 size_t* index) {
  char letter = word[at];
  auto value = [&](std::string* out) {
    if (at + 1 < word.size()) {
      *out = word.substr(at + 1);
      return true;
    }
    if (*index + 1 >= arguments.size() || arguments[*index + 1][0] == '\0') return false;
    *out = arguments[++*index];
    return true;
  };
  switch (letter) {
    case '?':
    case 'h':
      cli->help = cli->version = true;
      return false;
    case 'v':
      cli->version = true;
      return false;
    case 'V':
      cli->version = cli->configure = true;
      return false;
    case 't':
      cli->options.test = Test::kTest;
      return false;
    case 'T':
      cli->options.test = Test::kDump;
      return false;
    case 'q':
      cli->options.quiet = true;
      return false;
    case 's':
      if (!value(&cli->signal)) {
        cli->error = "option \"-s\" requires parameter";
      } else if (!known_signal(cli->signal)) {
        cli->error = "invalid option: \"-s " + cli->signal + "\"";
      }
      return true;
    default:
      break;
  }
  for (const Valued& v : kValued) {
    if (v.letter != letter) continue;
    if (!value(&(cli->options.*v.field))) {
      cli->error = std::string("option \"-") + letter + "\" " + std::string(v.missing);
    }
    return true;
  }
  cli->error = std::string("invalid option: \"") + letter + "\"";
  return true;
}

// Bulkhead's own: `--state DIR`, `--state=DIR`.  False: something else.
bool take_state(NginxCli* cli, std::string_view word, std::span<char* const> arguments,
                size_t* index) {
  constexpr std::string_view kName = "--state";
  if (word == kName && *index + 1 < arguments.size()) {
    cli->options.state = arguments[++*index];
    return true;
  }
  if (!word.starts_with("--state=")) return false;
  cli->options.state = word.substr(kName.size() + 1);
  return true;
}

}  // namespace

NginxCli parse_nginx_cli(std::span<char* const> arguments) {
  NginxCli cli;
  cli.options.kind = Kind::kNginx;
  for (size_t i = 0; i < arguments.size() && cli.error.empty(); ++i) {
    std::string_view word(arguments[i]);
    if (!word.starts_with('-')) {
      cli.error = "invalid option: \"" + std::string(word) + "\"";
      break;
    }
    if (take_state(&cli, word, arguments, &i)) continue;
    for (size_t at = 1; at < word.size(); ++at) {
      if (take_letter(&cli, word, at, arguments, &i)) break;
    }
  }
  Options& o = cli.options;
  if (o.prefix.empty()) o.prefix = kNginxPrefix;
  if (!o.prefix.ends_with('/')) o.prefix += '/';
  if (o.nginx_conf.empty()) o.nginx_conf = kNginxConf;
  if (o.error_log.empty()) o.error_log = kNginxErrorLog;
  return cli;
}

std::string nginx_version_text(const NginxCli& cli) {
  std::string out = "nginx version: " + std::string(kNginxVersion) + "\n";
  if (cli.help) out += kUsage;
  if (cli.configure) out += kConfigure;
  return out;
}

}  // namespace bulkhead::master
