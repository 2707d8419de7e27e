// bulkhead-verify: attacks every site from every other one and says what came of it.
//
// Runs in: bulkhead-verify (root).  Input: the administrator's command line, the configuration.
#include <CLI/CLI.hpp>
#include <string>

#include "cli/complete.h"
#include "cli/describe.h"
#include "verify/verify.h"

int main(int argc, char** argv) {
  using namespace bulkhead;
  verify::Request request;
  CLI::App app("Attacks each site from each other one, inside their real sandboxes, and reports.",
               "bulkhead verify");
  app.add_option("sites", request.sites, "only these sites (pool names)")->type_name("SITE");
  app.add_flag("--new", request.make_new, "two throw-away sites on a private server");
  app.add_flag("--compare", request.compare,
               "the article's two sites, on nginx + php-fpm and here");
  app.add_option("--config", request.places.config, "configuration of the running server")
      ->type_name("FILE");
  app.add_option("--nginx", request.places.nginx, "likewise: its nginx.conf")->type_name("FILE");
  app.add_option("--fpm", request.places.fpm, "likewise: its php-fpm.conf")->type_name("FILE");
  app.add_option("--pid", request.places.pid, "pid file of the running server")->type_name("FILE");
  app.add_option("--prefix", request.places.prefix, "where relative paths start")->type_name("DIR");
  app.add_option("--layer-off", request.layers_off, "with --new: leave this layer out (repeatable)")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"view", "pid", "ipc", "landlock", "seccomp", "cgroup"}));
  app.add_option("--pool-line", request.pool_lines, "with --new: add this line to both pool files")
      ->allow_extra_args(false);
  app.add_option("--probe", request.wanted.ids, "only this probe (repeatable)")
      ->allow_extra_args(false);
  app.add_flag("--quick", request.wanted.quick, "leave the loads of group E out");
  app.add_flag("--list", request.list, "list the probes");
  app.add_flag("--json", request.json, "print JSON");
  app.add_option("--html", request.html, "write a page to this file")->type_name("FILE");
  if (argc > 1 && std::string_view(argv[1]) == cli::kAsk) {
    return cli::answer_shell(cli::describe(app), {argv + 2, static_cast<size_t>(argc - 2)});
  }
  CLI11_PARSE(app, argc, argv);
  return verify::run(request);
}
