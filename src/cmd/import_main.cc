// bulkhead-import: adopts a machine that nginx and php-fpm serve.
//
// Runs in: bulkhead-import (root).  Input: the administrator's command line.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>

#include "cli/complete.h"
#include "cli/describe.h"
#include "cli/usage.h"
#include "import/import.h"

namespace bulkhead {
namespace {

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

int run(int argc, char** argv) {
  sites::Common common;
  import::Request request;
  auto& places = common.places;
  places.etc = from_environment("BULKHEAD_ETC", "/etc/bulkhead");
  places.state = from_environment("BULKHEAD_STATE", "/var/lib/bulkhead");
  places.homes = from_environment("BULKHEAD_HOMES", "/srv/bulkhead");
  CLI::App app("Says what of an existing nginx and php-fpm will be served, then serves it.",
               "bulkhead import");
  app.add_option("--nginx", request.nginx, "the nginx.conf to adopt")
      ->type_name("FILE")
      ->required();
  app.add_option("--fpm", request.fpm, "the php-fpm.conf to adopt")->type_name("FILE");
  app.add_flag("--dry-run", common.dry_run, "only say what is there and what would be done");
  app.add_flag("--prepare", request.prepare, "write although another server holds the addresses");
  app.add_flag("--json", common.json, "print JSON: the report, then the result");
  app.add_option("--etc", places.etc, "configuration (BULKHEAD_ETC)")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--state", places.state, "state (BULKHEAD_STATE)")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--pid", places.pid, "pid file of the running server")->type_name("FILE");
  if (argc > 1 && std::string_view(argv[1]) == cli::kAsk) {
    return cli::answer_shell(cli::describe(app), {argv + 2, static_cast<size_t>(argc - 2)});
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli::end_parse(app, error, {argv + 1, static_cast<size_t>(argc - 1)}, sites::kExitUsage);
  }
  common.line = "import --nginx " + request.nginx;
  if (!request.fpm.empty()) common.line += " --fpm " + request.fpm;
  return import::run(common, request);
}

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) { return bulkhead::run(argc, argv); }
