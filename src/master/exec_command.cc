#include "master/exec_command.h"

#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "exec/command.h"
#include "master/commands.h"
#include "sys/files.h"

namespace bulkhead::master {
namespace {

constexpr sys::FdRef kOut(1), kErr(2);
constexpr int kSignalBase = 128;

constexpr std::string_view kUsageHead =
    R"(usage: bulkhead exec [OPTIONS] SITE [--] COMMAND [ARGUMENTS]

Runs a command as a site: as its user, inside its sandbox, within its limits.
SITE is a pool's name or a server_name. For root, and for the site's own user.

)";
constexpr std::string_view kUsageTail = R"(
Without the first five: the server of /etc/bulkhead/bulkhead.conf.

Exit status: the command's; 128+n when signal n ended it; 127 not found;
126 cannot be run; 125 Bulkhead could not run it.
)";
constexpr size_t kHelpColumn = 30;

// The words of the line, one at a time.
class Words {
 public:
  explicit Words(std::span<char* const> words) : words_(words) {}
  [[nodiscard]] bool done() const { return at_ == words_.size(); }
  [[nodiscard]] std::string_view peek() const { return words_[at_]; }
  std::string_view next() { return words_[at_++]; }
  // The option of a row, when the next word is it; its value is "VALUE" of "--name VALUE" or
  // "--name=VALUE", "" when it takes none.  Nothing: the word is something else.
  Result<std::optional<std::string>> take(const ExecOption& row) {
    const std::string_view word = peek();
    const bool takes = !row.value.empty();
    if (takes && word.starts_with(row.name) && word.size() > row.name.size() &&
        word[row.name.size()] == '=') {
      std::string value(word.substr(row.name.size() + 1));
      next();
      return value;
    }
    if (word != row.name && (row.letter.empty() || word != row.letter)) return std::nullopt;
    next();
    if (!takes) return std::string();
    if (done()) return fail(std::string(word) + " needs a value");
    return std::string(next());
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

Status take_config(ExecLine* line, std::string value) {
  line->server.nginx_conf = std::move(value);
  line->server.bulkhead_conf = true;
  return {};
}
template <std::string Options::*field>
Status take_server(ExecLine* line, std::string value) {
  line->server.*field = std::move(value);
  return {};
}
template <std::string exec::ExecRequest::*field>
Status take_request(ExecLine* line, std::string value) {
  line->request.*field = std::move(value);
  return {};
}
template <exec::Terminal terminal>
Status take_terminal(ExecLine* line, std::string) {
  line->request.terminal = terminal;
  return {};
}
Status take_env(ExecLine* line, std::string value) { return add_variable(value, &line->request); }
Status take_program(ExecLine* line, std::string value) {
  line->program = std::move(value);
  return {};
}
Status take_help(ExecLine* line, std::string) {
  line->help = true;
  return {};
}

// clang-format off
constexpr ExecOption kOptions[] = {
    {"--config", "", "FILE", "the server: its own configuration,", take_config},
    {"--nginx", "", "FILE", "its nginx.conf,", take_server<&Options::nginx_conf>},
    {"--fpm", "", "FILE", "its php-fpm.conf,", take_server<&Options::fpm_conf>},
    {"--pid", "", "FILE", "its pid file,", take_server<&Options::pid>},
    {"--prefix", "", "DIR", "and where relative paths start", take_server<&Options::prefix>},
    {"--control", "", "FILE", "its control socket (/run/bulkhead.ctl)", take_request<&exec::ExecRequest::socket>},
    {"--directory", "-C", "DIR", "start there; else here if the site has it, else in its home", take_request<&exec::ExecRequest::directory>},
    {"--env", "-e", "NAME[=VALUE]", "a variable for it (no value: as ours)", take_env},
    {"--terminal", "-t", "", "a terminal although standard output is none", take_terminal<exec::Terminal::kAlways>},
    {"--no-terminal", "-T", "", "no terminal", take_terminal<exec::Terminal::kNever>},
    {"--program-fd", "", "N", "run what is open as descriptor N; COMMAND is its name", take_program},
    {"--help", "-h", "", "this text", take_help},
};
// clang-format on

// One option, or false.
Result<bool> take_option(Words* words, ExecLine* line) {
  for (const ExecOption& row : kOptions) {
    auto value = TRY(words->take(row));
    if (!value) continue;
    TRY_STATUS(row.take(line, std::move(*value)));
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

std::span<const ExecOption> exec_options() { return kOptions; }

std::string exec_usage() {
  std::string out(kUsageHead);
  for (const ExecOption& row : kOptions) {
    std::string line = "  " + (row.letter.empty() ? "" : std::string(row.letter) + ", ");
    line.append(row.name);
    if (!row.value.empty()) line.append(" ").append(row.value);
    line.resize(std::max(line.size() + 2, kHelpColumn), ' ');
    out += line.append(row.help) + "\n";
  }
  return out.append(kUsageTail);
}

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
    sys::write_all(kErr, "bulkhead exec: " + line.error().text + "\n" + exec_usage());
    return exec::kExitOwnFailure;
  }
  if (line->help) {
    sys::write_all(kOut, exec_usage());
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
