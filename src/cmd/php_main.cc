// bulkhead-php8.2: zygote, and with it every pool and worker; and php-fpm's -v, -m, -i.
//
// Runs as: root (zygote), then as each site's user.  Input: arguments from master; descriptor 3 is
// the channel to master.
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "php/engine.h"
#include "pool/zygote.h"
#include "sys/process.h"

namespace {

using bulkhead::php::LogLevel;

constexpr int kMasterFd = 3;
constexpr size_t kTitleRoom = 320;
constexpr const char* kRoomVariable = "BULKHEAD_TITLE_ROOM";

enum class Action { kUsage, kZygote, kVersion, kModules, kInformation };
struct Arguments {
  Action action = Action::kUsage;
  bulkhead::php::StartOptions php;
  std::string state;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  std::error_code unknown;
  a.php.program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (unknown) a.php.program = argv[0];
  const auto value = [&](int& i) -> std::string {
    if (argv[i][2] != '\0') return argv[i] + 2;
    return i + 1 < argc ? argv[++i] : "";
  };
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--zygote")
      a.action = Action::kZygote;
    else if (arg.starts_with("--state="))
      a.state = arg.substr(8);
    else if (arg == "-v")
      a.action = Action::kVersion;
    else if (arg == "-m")
      a.action = Action::kModules;
    else if (arg == "-i")
      a.action = Action::kInformation;
    else if (arg == "-n")
      a.php.no_ini = true;
    else if (arg.starts_with("-c"))
      a.php.ini_path = value(i);
    else if (arg.starts_with("-d"))
      a.php.defines.push_back(value(i));
  }
  a.php.information_as_text = a.action == Action::kInformation;
  return a;
}

// Titles are written over the arguments and the environment: make sure there is room for
// "php-fpm: pool NAME".  The program starts itself once more with a longer environment.
void make_title_room(char** argv) {
  if (getenv(kRoomVariable) != nullptr) {
    return;
  }
  setenv(kRoomVariable, std::string(kTitleRoom, ' ').c_str(), 1);
  execv("/proc/self/exe", argv);
  // Not fatal: titles are cut.
}

// What PHP says while it starts (a missing extension), in php-fpm's form.
void log_to_stderr(LogLevel level, std::string_view text, void*) {
  static constexpr const char* kNames[] = {"", "DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"};
  char stamp[64];
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  strftime(stamp, sizeof stamp, "[%d-%b-%Y %H:%M:%S]", &local);
  fprintf(stderr, "%s %s: %.*s\n", stamp, kNames[static_cast<size_t>(level)],
          static_cast<int>(text.size()), text.data());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments = parse(argc, argv);
  if (arguments.action == Action::kUsage) {
    fprintf(stderr, "usage: bulkhead-php --zygote | -v | -m | -i  [-c INI] [-n] [-d NAME=VALUE]\n");
    return 64;
  }
  if (arguments.action == Action::kZygote) {
    make_title_room(argv);
    bulkhead::sys::close_descriptors_from(kMasterFd + 1);  // pools would share what is open here
  }
  bulkhead::sys::init_process_title(argc, argv);
  unsetenv(kRoomVariable);
  bulkhead::php::set_log_sink(log_to_stderr, nullptr);
  if (auto started = bulkhead::php::start(arguments.php); !started) {
    fprintf(stderr, "%s\n", started.error().describe().c_str());
    return 70;
  }
  switch (arguments.action) {
    case Action::kZygote:
      bulkhead::sys::set_process_title("bulkhead: php " + bulkhead::php::version() + " zygote");
      prctl(PR_SET_DUMPABLE, 0);
      return bulkhead::pool::run_zygote(bulkhead::sys::Fd(kMasterFd), arguments.state);
    case Action::kVersion:
      bulkhead::php::print_version();
      break;
    case Action::kModules:
      bulkhead::php::print_modules();
      break;
    case Action::kInformation:
      bulkhead::php::print_information();
      break;
    case Action::kUsage:
      break;
  }
  bulkhead::php::stop();
  return 0;
}
