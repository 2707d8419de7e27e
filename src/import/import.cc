#include "import/import.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "import/report.h"
#include "import/survey.h"
#include "sites/session.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::import {
namespace {

constexpr size_t kConfigMax = 8u << 20;

Result<std::string> absolute(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return fail_errno("cannot read " + path);
  std::string out = real;
  std::free(real);
  return out;
}

// The path of a file as typed, made absolute; a link stays a link, since relative includes start in
// the directory that was named.
Result<std::string> named_file(const std::string& path) {
  (void)TRY(absolute(path));
  if (path.starts_with('/')) return path;
  return TRY(absolute(".")) + "/" + path;
}

std::string word(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\' || c == '$') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string config_text(const Request& request, const sites::Places& places) {
  const std::string directory = request.nginx.substr(0, request.nginx.rfind('/') + 1);
  std::string text =
      "# Written by bulkhead import. It reads the configuration of nginx and php-fpm where it is; "
      "edit\n# that, then: bulkhead reload\nrelative_to " +
      word(directory) + ";\ninclude " + word(request.nginx) + ";\n";
  if (!request.fpm.empty()) text += "pools " + word(request.fpm) + ";\n";
  return text + "\n# Sites of `bulkhead site` beside them.\npools " +
         word(places.etc + "/pools/*.conf") + ";\nsites " +
         word(places.etc + "/sites-enabled/*.conf") + ";\nsites " +
         word(places.etc + "/sites-disabled/*.conf") + ";\n";
}

constexpr const char* kSwitch =
    "To switch over:   systemctl disable --now nginx php8.2-fpm; systemctl enable --now bulkhead\n"
    "To switch back:   systemctl disable --now bulkhead; systemctl enable --now nginx php8.2-fpm";

Result<sites::Outcome> plan_import(const sites::Common& common, const Request& request,
                                   sites::Plan* plan) {
  const sites::Places& places = common.places;
  const std::string text = config_text(request, places);
  const std::string config = places.config();
  if (sites::exists(config)) {
    const std::string old = TRY(sys::read_file(config, kConfigMax));
    if (old == text) {
      return sites::Outcome{"", false, config + " reads these files already: nothing to do"};
    }
    // A copy is readable by nobody who could not read the file.
    struct stat st {};
    if (::stat(config.c_str(), &st) != 0) return fail_errno("cannot look at " + config);
    const sites::FileLook look{static_cast<unsigned>(st.st_mode) & 0640U, ""};
    TRY_STATUS(plan->add(sites::write_step(config + ".before-import", old, look)));
  }
  for (const char* name : {"", "/sites-available", "/sites-enabled", "/sites-disabled", "/pools"}) {
    if (!sites::exists(places.etc + name)) {
      plan->add(sites::directory_step(places.etc + name, 0755));
    }
  }
  const bool running = sites::server_runs(places);
  if (running) plan->add(sites::reload_back_step(places));
  TRY_STATUS(plan->add(sites::write_step(config, text)));
  plan->add(running ? sites::reload_step(places) : sites::check_step(places));
  return sites::Outcome{
      "", true,
      config + " now reads " + request.nginx + (request.fpm.empty() ? "" : " and " + request.fpm) +
          ", which were not changed.\n" + (running ? "The running server serves by it." : kSwitch)};
}

int refuse_taken(const Report& report) {
  std::string list;
  for (const std::string& address : report.taken) list += " " + address;
  std::fprintf(stderr,
               "bulkhead import: another server (nginx?) listens at%s: nothing was written.\n"
               "Stop it first, or write now and switch later: bulkhead import --prepare ...\n%s\n",
               list.c_str(), kSwitch);
  return kExitTaken;
}

}  // namespace

int run(const sites::Common& common, const Request& typed) {
  if (::geteuid() != 0) return sites::complain(common, {"must be run as root", 0});
  Request request = typed;
  for (std::string* path : {&request.nginx, &request.fpm}) {
    if (path->empty()) continue;
    auto full = named_file(*path);
    if (!full) return sites::complain(common, full.error());
    *path = *full;
  }
  Report report = survey(request.nginx, request.fpm, common.places.state);
  const bool is_ours = sites::server_runs(common.places);
  if (is_ours) report.taken.clear();  // by Bulkhead itself
  std::fputs((common.json ? to_json(report) : to_text(report)).c_str(), stdout);
  if (!common.json) std::fputs("\n", stdout);
  std::fflush(stdout);
  if (!report.error.empty()) {
    std::fprintf(stderr, "bulkhead import: cannot be served: %s\n", report.error.c_str());
    return sites::kExitFailed;
  }
  if (!common.dry_run && !request.prepare && !report.taken.empty()) {
    return refuse_taken(report);
  }
  return sites::run_command(common,
                            [&](sites::Plan* plan) { return plan_import(common, request, plan); });
}

}  // namespace bulkhead::import
