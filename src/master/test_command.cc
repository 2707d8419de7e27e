// `-t`: says whether the configuration is good, in the words and with the exit code of the program
// it is meant for.
//
// Runs in: bulkhead.
#include <unistd.h>

#include "config/nginx_parser.h"
#include "master/fpm_cli.h"
#include "master/log_files.h"
#include "master/master.h"
#include "sys/files.h"

namespace bulkhead::master {
namespace {

constexpr sys::FdRef kOut(1), kErr(2);
constexpr std::string_view kNoEvents = "no \"events\" section in configuration";

std::string full_path(const Options& o) {
  return o.nginx_conf.starts_with('/') ? o.nginx_conf : o.prefix + o.nginx_conf;
}

int test_nginx(const Options& o, Log& log) {
  std::string path = full_path(o);
  auto failed = [&] {
    sys::write_all(kErr, "nginx: configuration file " + path + " test failed\n");
    return 1;
  };
  auto say_syntax_is_ok = [&] {
    if (o.quiet) return;
    sys::write_all(kErr, "nginx: the configuration file " + path + " syntax is ok\n");
  };
  auto loaded = load(o);
  if (!loaded) {
    for (const auto& m : loaded.error().fpm) log.fpm(m);
    if (loaded.error().nginx) {
      const config::ConfigError& e = *loaded.error().nginx;
      // What is wrong as a whole, at no line, is found after the syntax was good.
      if (e.line == 0 && e.file.empty() && e.text == kNoEvents) say_syntax_is_ok();
      log.nginx(e.level, e.describe());
    }
    return failed();
  }
  for (const config::ConfigError& w : loaded->warnings) log.nginx(w.level, w.describe());
  say_syntax_is_ok();
  if (auto files = open_log_files(*loaded->model); !files) {
    log.nginx(LogLevel::kEmerg, files.error().describe());
    return failed();
  }
  if (!o.quiet) {
    sys::write_all(kErr, "nginx: configuration file " + path + " test is successful\n");
  }
  if (o.test == Test::kDump) sys::write_all(kOut, config::dump_files(loaded->snapshot.ast));
  return 0;
}

int test_fpm(const Options& o, Log& log) {
  auto loaded = load(o);
  if (!loaded) {
    for (const auto& m : loaded.error().fpm) log.fpm(m);
    if (loaded.error().nginx) log.fpm(FpmLevel::kError, loaded.error().nginx->describe());
    log.fpm(FpmLevel::kError, "FPM initialization failed");
    return kExitConfig;
  }
  Log::FpmSink sink;
  sink.level = loaded->fpm->global.log_level;
  sink.limit = 1 << 20;  // a dump is not cut
  log.set_fpm(std::move(sink), "", "");
  for (const auto& m : loaded->fpm->messages) log.fpm(m);
  if (o.test == Test::kDump) {
    for (const std::string& line : config::dump_fpm(*loaded->fpm)) {
      log.fpm(FpmLevel::kNotice, line);
    }
  }
  log.fpm(FpmLevel::kNotice, "configuration file " + loaded->fpm->path + " test is successful\n");
  return 0;
}

int test_serve(const Options& o, Log& log) {
  auto loaded = load(o);
  auto say = [](std::string text) { sys::write_all(kErr, "bulkhead: " + text + "\n"); };
  if (!loaded) {
    if (loaded.error().nginx) {
      const config::ConfigError& e = *loaded.error().nginx;
      say("[" + std::string(level_name(e.level)) + "] " + e.describe());
    }
    for (const auto& m : loaded.error().fpm) log.fpm(m);
    say("the configuration is not valid");
    return 1;
  }
  for (const config::ConfigError& w : loaded->warnings) {
    say("[" + std::string(level_name(w.level)) + "] " + w.describe());
  }
  if (loaded->fpm) {
    for (const auto& m : loaded->fpm->messages) log.fpm(m);
  }
  if (o.test == Test::kDump) {
    sys::write_all(kOut, config::dump_files(loaded->snapshot.ast));
    if (loaded->fpm) {
      for (const std::string& line : config::dump_fpm(*loaded->fpm)) {
        sys::write_all(kOut, line + "\n");
      }
    }
  }
  if (!o.quiet) {
    say("the configuration is valid: " + counted(loaded->model->servers.size(), "server") + ", " +
        counted(loaded->fpm ? loaded->fpm->pools.size() : 0, "pool"));
  }
  return 0;
}

}  // namespace

int test_configuration(const Options& options) {
  Log log;
  sys::Fd first = open_first_log(options, &log);
  switch (options.kind) {
    case Kind::kNginx:
      return test_nginx(options, log);
    case Kind::kFpm:
      return test_fpm(options, log);
    case Kind::kServe:
      break;
  }
  return test_serve(options, log);
}

}  // namespace bulkhead::master
