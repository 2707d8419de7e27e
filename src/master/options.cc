#include "master/options.h"

#include <functional>

namespace bulkhead::master {
namespace {

std::string_view kind_name(Kind kind) {
  return kind == Kind::kServe ? "serve" : kind == Kind::kNginx ? "nginx" : "php-fpm";
}

// One row per option: its name, its value as text (empty: default), and how to take it.
struct Row {
  std::string_view name;
  std::string (*write)(const Options&);
  void (*read)(Options*, std::string);
};
std::string flag(bool on) { return on ? "1" : ""; }

// clang-format off
const Row kRows[] = {
    {"nginx-conf", [](const Options& o) { return o.nginx_conf; }, [](Options* o, std::string v) { o->nginx_conf = v; }},
    {"fpm-conf", [](const Options& o) { return o.fpm_conf; }, [](Options* o, std::string v) { o->fpm_conf = v; }},
    {"bulkhead-conf", [](const Options& o) { return flag(o.bulkhead_conf); }, [](Options* o, std::string) { o->bulkhead_conf = true; }},
    {"prefix", [](const Options& o) { return o.prefix; }, [](Options* o, std::string v) { o->prefix = v; }},
    {"error-log", [](const Options& o) { return o.error_log; }, [](Options* o, std::string v) { o->error_log = v; }},
    {"globals", [](const Options& o) { return o.global_directives; }, [](Options* o, std::string v) { o->global_directives = v; }},
    {"pid", [](const Options& o) { return o.pid; }, [](Options* o, std::string v) { o->pid = v; }},
    {"state", [](const Options& o) { return o.state; }, [](Options* o, std::string v) { o->state = v; }},
    {"force-stderr", [](const Options& o) { return flag(o.force_stderr); }, [](Options* o, std::string) { o->force_stderr = true; }},
    {"allow-root", [](const Options& o) { return flag(o.allow_root); }, [](Options* o, std::string) { o->allow_root = true; }},
    {"quiet", [](const Options& o) { return flag(o.quiet); }, [](Options* o, std::string) { o->quiet = true; }},
    {"title", [](const Options& o) { return o.command_line; }, [](Options* o, std::string v) { o->command_line = v; }},
};
// clang-format on

}  // namespace

std::vector<std::string> to_arguments(const Options& options) {
  std::vector<std::string> out{"--kind=" + std::string(kind_name(options.kind))};
  for (const Row& row : kRows) {
    std::string value = row.write(options);
    if (!value.empty()) out.push_back("--" + std::string(row.name) + "=" + value);
  }
  if (options.daemonize) {
    out.push_back(std::string("--daemonize=") + (*options.daemonize ? "1" : "0"));
  }
  for (const std::string& a : options.php_args) out.push_back("--php=" + a);
  return out;
}

Result<Options> from_arguments(std::span<char* const> arguments) {
  Options options;
  for (const char* raw : arguments) {
    std::string_view text(raw);
    size_t equals = text.find('=');
    if (!text.starts_with("--") || equals == std::string_view::npos) {
      return fail("bulkhead-master is started by bulkhead; see `bulkhead --help`");
    }
    std::string_view name = text.substr(2, equals - 2);
    std::string value(text.substr(equals + 1));
    if (name == "kind") {
      options.kind = value == "nginx"     ? Kind::kNginx
                     : value == "php-fpm" ? Kind::kFpm
                                          : Kind::kServe;
    } else if (name == "daemonize") {
      options.daemonize = value == "1";
    } else if (name == "php") {
      options.php_args.push_back(std::move(value));
    } else {
      const Row* found = nullptr;
      for (const Row& row : kRows) {
        if (row.name == name) found = &row;
      }
      if (found == nullptr) return fail("bulkhead-master: unknown option " + std::string(text));
      found->read(&options, std::move(value));
    }
  }
  return options;
}

}  // namespace bulkhead::master
