#include "master/exec_command.h"

#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <utility>

#include "exec/command.h"
#include "master/commands.h"
#include "sys/files.h"

namespace bulkhead::master {
namespace {

constexpr sys::FdRef kOut(1), kErr(2);
constexpr int kSignalBase = 128;

constexpr std::string_view kUsage =
    R"(usage: bulkhead exec [OPTIONS] SITE [--] COMMAND [ARGUMENTS]

Runs a command as a site: as its user, inside its sandbox, within its limits.
SITE is a pool's name or a server_name. For root, and for the site's own user.

  --config FILE, --nginx FILE, --fpm FILE, --pid FILE, --prefix DIR
                       the server, as for `bulkhead status`
  --control SOCKET     the server's control socket (/run/bulkhead.ctl)
  -C, --directory DIR  start there; else in the current directory where the
                       site has it, else in the site's home
  -e, --env NAME[=VALUE]
                       a variable for the command (without a value: as ours)
  -t, --terminal       give it a terminal although standard output is none
  -T, --no-terminal    give it none
  --program-fd N       run the program open as descriptor N; COMMAND is its name

Exit status: the command's; 128+n when signal n ended it; 127 not found;
126 cannot be run; 125 Bulkhead could not run it.
)";

// The words of the line, one at a time.
class Words {
 public:
  explicit Words(std::span<char* const> words) : words_(words) {}
  [[nodiscard]] bool done() const { return at_ == words_.size(); }
  [[nodiscard]] std::string_view peek() const { return words_[at_]; }
  std::string_view next() { return words_[at_++]; }
  // The value of "--name VALUE" or "--name=VALUE"; nothing when the next word is no such option.
  Result<bool> take(std::string_view name, std::string_view letter, std::string* value) {
    const std::string_view word = peek();
    if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=') {
      *value = word.substr(name.size() + 1);
      next();
      return true;
    }
    if (word != name && (letter.empty() || word != letter)) return false;
    next();
    if (done()) return fail(std::string(word) + " needs a value");
    *value = next();
    return true;
  }

 private:
  std::span<char* const> words_;
  size_t at_ = 0;
};

Status add_variable(const std::string& text, exec::ExecRequest* request) {
  if (text.find('=') != std::string::npos) {
    if (text.starts_with('=')) return fail("--env " + text + ": a variable needs a name");
    request->env.push_back(text);
  } else if (const char* value = std::getenv(text.c_str())) {
    request->env.push_back(text + "=" + value);
  }
  return {};
}

// One option, or false.
Result<bool> take_option(Words* words, ExecLine* line) {
  const std::string_view word = words->peek();
  exec::ExecRequest& request = line->request;
  if (word == "-t" || word == "--terminal" || word == "-T" || word == "--no-terminal") {
    const bool on = word == "-t" || word == "--terminal";
    request.terminal = on ? exec::Terminal::kAlways : exec::Terminal::kNever;
    words->next();
    return true;
  }
  if (word == "-h" || word == "--help") {
    line->help = true;
    words->next();
    return true;
  }
  const std::pair<std::string_view, std::string*> kServer[] = {
      {"--config", &line->server.nginx_conf}, {"--nginx", &line->server.nginx_conf},
      {"--fpm", &line->server.fpm_conf},      {"--pid", &line->server.pid},
      {"--prefix", &line->server.prefix},     {"--control", &request.socket},
      {"--program-fd", &line->program}};
  for (const auto& [name, value] : kServer) {
    if (!TRY(words->take(name, "", value))) continue;
    if (name == "--config") line->server.bulkhead_conf = true;
    return true;
  }
  if (TRY(words->take("--directory", "-C", &request.directory))) return true;
  std::string variable;
  if (TRY(words->take("--env", "-e", &variable))) {
    TRY_STATUS(add_variable(variable, &request));
    return true;
  }
  return false;
}

Result<sys::FdRef> descriptor(const std::string& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    return fail("--program-fd " + text + ": not a descriptor's number");
  }
  return sys::FdRef(number);
}

std::string absolute(const std::string& path) {
  char* real = path.empty() ? nullptr : ::realpath(path.c_str(), nullptr);
  std::string out = real != nullptr ? real : path;
  std::free(real);
  return out;
}

// Where the server's door is.  A site's user may not be able to read the configuration; then it is
// where a server usually has it.
Result<std::string> find_door(ExecLine* line) {
  if (!line->request.socket.empty()) return exec::socket_path(line->request.socket);
  Options& server = line->server;
  const bool said = !server.nginx_conf.empty() || !server.fpm_conf.empty();
  if (!said && server.pid.empty()) {
    server.bulkhead_conf = true;
    server.nginx_conf = kBulkheadConf;
  }
  if (server.prefix.empty()) server.prefix = kNginxPrefix;
  if (!server.prefix.ends_with('/')) server.prefix += '/';
  server.nginx_conf = absolute(server.nginx_conf);
  server.fpm_conf = absolute(server.fpm_conf);
  auto pid_path = find_pid_path(server);
  if (pid_path) return exec::socket_path(*pid_path);
  if (said) return std::unexpected(pid_path.error());
  return exec::socket_path(std::string(kBulkheadPid));
}

int own_failure(const std::string& text) {
  sys::write_all(kErr, "bulkhead exec: " + text + "\n");
  return exec::kExitOwnFailure;
}

}  // namespace

std::string_view exec_usage() { return kUsage; }

Result<ExecLine> parse_exec(std::span<char* const> arguments) {
  Words words(arguments);
  ExecLine line;
  line.request.relay_signals = true;
  while (!words.done() && words.peek().starts_with('-') && words.peek() != "--") {
    if (TRY(take_option(&words, &line))) continue;
    return fail("unknown option " + std::string(words.peek()));
  }
  if (line.help) return line;
  if (!words.done() && words.peek() == "--") words.next();
  if (words.done()) return fail("no site named");
  line.request.site = words.next();
  if (!words.done() && words.peek() == "--") words.next();
  while (!words.done()) line.request.argv.emplace_back(words.next());
  if (line.request.argv.empty()) {
    return fail("no command for site \"" + line.request.site + "\"");
  }
  if (!line.program.empty()) line.request.program = TRY(descriptor(line.program));
  return line;
}

int run_exec(std::span<char* const> words) {
  auto line = parse_exec(words);
  if (!line) {
    sys::write_all(kErr, "bulkhead exec: " + line.error().text + "\n" + std::string(kUsage));
    return exec::kExitOwnFailure;
  }
  if (line->help) {
    sys::write_all(kOut, kUsage);
    return 0;
  }
  auto door = find_door(&*line);
  if (!door) return own_failure("no server found: " + door.error().describe());
  line->request.socket = *door;
  char here[PATH_MAX];
  if (::getcwd(here, sizeof here) != nullptr) line->request.directory_hint = here;
  const Result<int> status = exec::run_in_site(line->request);
  if (!status) return own_failure(status.error().describe());
  if (WIFSIGNALED(*status)) return kSignalBase + WTERMSIG(*status);
  return WEXITSTATUS(*status);
}

}  // namespace bulkhead::master
