#include "master/commands.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "master/children.h"
#include "master/control_socket.h"
#include "master/load.h"
#include "master/log.h"
#include "master/log_files.h"
#include "sandbox/state_dir.h"
#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::master {
namespace {

constexpr sys::FdRef kOut(1), kErr(2);
constexpr size_t kPidFileMax = 64;

struct Verb {
  std::string_view name;
  int signal;
};
constexpr Verb kVerbs[] = {
    {"stop", SIGTERM}, {"quit", SIGQUIT}, {"reopen", SIGUSR1}, {"reload", SIGHUP}};

int signal_of(std::string_view verb) {
  for (const Verb& v : kVerbs) {
    if (v.name == verb) return v.signal;
  }
  return 0;
}

void complain(const std::string& text) { sys::write_all(kErr, "bulkhead: " + text + "\n"); }

Result<pid_t> read_pid(const std::string& path) {
  std::string text = TRY(sys::read_file(path, kPidFileMax));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  pid_t pid = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid <= 0) {
    return fail("invalid PID number \"" + text + "\" in \"" + path + "\"");
  }
  return pid;
}

// The program of another process when it is certainly not ours (an imported nginx.conf may name the
// pid file of a running nginx), else "".
std::string stranger(pid_t pid) {
  std::error_code error;  // no right to look, or gone: the signal itself will tell
  const auto program =
      std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error);
  const bool is_ours = error || program.filename().string().starts_with("bulkhead");
  return is_ours ? "" : program.string();
}

int exec(const std::string& program, std::vector<std::string> arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  complain("cannot run " + program + ": " + std::strerror(errno));
  return 126;
}

// The value after `"name":` in JSON that our own master wrote.
std::string_view json_value(std::string_view json, std::string_view name, size_t from = 0) {
  std::string key = "\"" + std::string(name) + "\":";
  size_t at = json.find(key, from);
  if (at == std::string_view::npos) return {};
  at += key.size();
  if (json[at] == '"') return json.substr(at + 1, json.find('"', at + 1) - at - 1);
  return json.substr(at, json.find_first_of(",}]", at) - at);
}

// "34M" of a number of bytes; "-" of none.
std::string megabytes(const std::string& bytes) {
  const uint64_t count = std::strtoull(bytes.c_str(), nullptr, 10);
  return count == 0 ? "-" : std::to_string((count + (1 << 20) - 1) >> 20) + "M";
}

void print_site(std::string_view site, std::string* out) {
  char line[256];
  auto text = [&](std::string_view name) { return std::string(json_value(site, name)); };
  size_t processes = 0, workers = 0;
  for (size_t at = 0; (at = site.find("\"workers\":[", at)) != std::string_view::npos; ++at) {
    ++processes;
    std::string_view list = site.substr(at + 11, site.find(']', at + 11) - at - 11);
    if (list.empty()) continue;
    ++workers;
    for (char c : list) workers += c == ',';
  }
  std::snprintf(line, sizeof line, "%5s  %-24s %-16s %-6s %-10s %9zu %7zu %7s %9s  ",
                text("id").c_str(), text("name").c_str(), text("user").c_str(),
                text("kind").c_str(), text("state").c_str(), processes, workers,
                megabytes(text("memory_bytes")).c_str(), text("all").c_str());
  *out += line;
  std::string walls = text("sandbox") == "off" ? "OFF" : text("sandbox");
  if (text("sandbox") != "off" && !text("layers_off").empty()) {
    walls += ", WITHOUT " + text("layers_off");
  }
  if (text("view") == "wide") walls += ", wide view";
  if (!text("why").empty()) walls += "; cannot start: " + text("why");
  *out += walls + "\n";
}

// What limits sites here, and what does not.
std::string limits_line(std::string_view json) {
  auto list = [&](std::string_view key) {
    const size_t at = json.find("\"" + std::string(key) + "\":[");
    if (at == std::string_view::npos) return std::string();
    const size_t from = at + key.size() + 4;
    std::string out;
    for (char c : json.substr(from, json.find(']', from) - from)) {
      if (c != '"') out += c == ',' ? ", " : std::string(1, c);
    }
    return out;
  };
  const std::string have = list("controllers"), missing = list("missing");
  std::string out = "limits in force: " + (have.empty() ? "none" : have);
  if (!missing.empty()) out += "; not in force: " + missing;
  if (missing.find("tasks") != std::string::npos) out += " (tasks by RLIMIT_NPROC)";
  return out + "\n";
}

// What nobody should have to find in a column.
std::string warnings(std::string_view json) {
  std::string open;
  size_t at = json.find("\"sites\":[");
  while (at != std::string_view::npos &&
         (at = json.find("{\"id\":", at)) != std::string_view::npos) {
    if (json_value(json, "sandbox", at) == "off") {
      open += " " + std::string(json_value(json, "name", at));
    }
    at += 1;
  }
  if (open.empty()) return "";
  return "WARNING: SANDBOX OFF:" + open +
         ": only file permissions stand between these sites and all others\n";
}

std::string status_table(std::string_view json) {
  auto text = [&](std::string_view name) { return std::string(json_value(json, name)); };
  std::string out = "bulkhead " + text("version") + " (" + text("role") + "), pid " + text("pid") +
                    ", up " + text("uptime_s") + " s, " + text("loops") + " event loops\n";
  if (text("landlock_abi") == "0") out += "no Landlock on this kernel: one wall less\n";
  out += limits_line(json);
  char line[256];
  std::snprintf(line, sizeof line, "%5s  %-24s %-16s %-6s %-10s %9s %7s %7s %9s  %s\n", "site",
                "name", "user", "kind", "state", "processes", "workers", "memory", "requests",
                "sandbox");
  out += line;
  size_t at = json.find("\"sites\":[");
  while (at != std::string_view::npos &&
         (at = json.find("{\"id\":", at)) != std::string_view::npos) {
    size_t end = json.find("{\"id\":", at + 1);
    print_site(json.substr(at, end == std::string_view::npos ? end : end - at), &out);
    at = end;
  }
  return out + warnings(json);
}

std::string state_of(const Options& options) {
  const char* state = std::getenv("BULKHEAD_STATE");
  return options.state.empty() && state != nullptr ? state : options.state;
}

}  // namespace

Result<std::string> find_pid_path(const Options& options) {
  if (!options.pid.empty()) return options.pid;
  auto loaded = load(options);
  if (loaded) return loaded->model->pid_path;
  if (loaded.error().nginx) return fail(loaded.error().nginx->describe());
  return fail(loaded.error().fpm.empty() ? "no configuration" : loaded.error().fpm.back().text);
}

int signal_nginx(const Options& options, const std::string& signal) {
  Log log;
  sys::Fd first = open_first_log(options, &log);
  auto loaded = load(options);
  if (!loaded) {
    for (const auto& m : loaded.error().fpm) log.fpm(m);
    if (loaded.error().nginx) {
      log.nginx(loaded.error().nginx->level, loaded.error().nginx->describe());
    }
    return 1;
  }
  log.nginx(LogLevel::kNotice, "signal process started");
  auto pid = read_pid(loaded->model->pid_path);
  if (!pid) {
    log.nginx(LogLevel::kError, pid.error().describe());
    return 1;
  }
  if (auto sent = sys::send_signal(*pid, signal_of(signal)); !sent) {
    log.nginx(LogLevel::kAlert, sent.error().describe());
    return 1;
  }
  return 0;
}

int signal_bulkhead(const Options& options, const std::string& verb) {
  auto path = find_pid_path(options);
  auto pid = path ? read_pid(*path) : Result<pid_t>(std::unexpected(path.error()));
  if (!path) {
    complain("the configuration cannot be used, so no server was told to " + verb + ": " +
             path.error().describe() + "; --pid FILE tells one whatever the files say");
    return 1;
  }
  if (!pid) {
    complain("no server found: " + pid.error().describe());
    return 1;
  }
  if (const std::string program = stranger(*pid); !program.empty()) {
    complain(*path + " names process " + std::to_string(*pid) + ", which is " + program +
             ": no Bulkhead server; it was told nothing");
    return 1;
  }
  if (auto sent = sys::send_signal(*pid, signal_of(verb)); !sent) {
    complain(sent.error().describe());
    return 1;
  }
  return 0;
}

int show_status(const Options& options, Form form) {
  auto path = find_pid_path(options);
  const char* question = form == Form::kMetrics ? "metrics" : "status";
  auto json =
      path ? ask_master(*path, question) : Result<std::string>(std::unexpected(path.error()));
  if (!json) {
    complain("no server answers: " + json.error().describe());
    return 3;  // "not running", as init scripts say it
  }
  if (json->empty()) {
    complain("no answer: only root, or the user the server runs as, may ask");
    return 4;
  }
  sys::write_all(kOut, form == Form::kTable ? status_table(*json) : *json);
  return 0;
}

int become_master(const Options& given) {
  Options options = given;
  options.state = state_of(given);
  auto program = find_program("bulkhead-master");
  if (!program) {
    complain(program.error().describe());
    return 126;
  }
  return exec(*program, to_arguments(options));
}

int become_site(std::span<char* const> words) {
  auto program = find_program("bulkhead-site");
  if (!program) {
    complain(program.error().describe());
    return 126;
  }
  return exec(*program, {words.begin(), words.end()});
}

int recover_sites(const Options& options) {
  std::string state = state_of(options);
  if (state.empty()) state = sandbox::kDefaultState;
  if (::access((state + "/journal/current").c_str(), F_OK) != 0) return 0;
  auto program = find_program("bulkhead-site");
  if (!program) {
    complain("an interrupted command must be put in order first: " + program.error().describe());
    return 126;
  }
  const pid_t pid = ::fork();
  if (pid < 0) return 126;
  if (pid == 0) ::_exit(exec(*program, {"recover", "--state", state}));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int become_verify(std::span<char* const> words) {
  auto program = find_program("bulkhead-verify");
  if (!program) {
    complain(program.error().describe());
    return 126;
  }
  return exec(*program, {words.begin(), words.end()});
}

int become_import(std::span<char* const> words) {
  auto program = find_program("bulkhead-import");
  if (!program) {
    complain(program.error().describe());
    return 126;
  }
  return exec(*program, {words.begin(), words.end()});
}

int become_completer(const std::string& name, const std::vector<std::string>& words) {
  auto program = find_program(name);
  if (!program) return 126;  // the shell shows no reason anyway
  std::vector<std::string> arguments{"--complete"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return exec(*program, std::move(arguments));
}

int become_php(const Options& options, const std::string& question) {
  auto program = find_php_program("");
  if (!program) {
    complain(program.error().describe());
    return 126;
  }
  std::vector<std::string> arguments = options.php_args;
  arguments.push_back(question);
  return exec(*program, std::move(arguments));
}

}  // namespace bulkhead::master
