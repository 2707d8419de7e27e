#include "sites/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "master/commands.h"
#include "master/control_socket.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/sockets.h"

namespace bulkhead::sites {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
constexpr auto kReloadMax = std::chrono::seconds(30);
constexpr auto kAnswerMax = std::chrono::seconds(20);
constexpr auto kFirstPause = std::chrono::milliseconds(4);
constexpr auto kLongestPause = std::chrono::milliseconds(100);
constexpr size_t kNameMax = 64;
constexpr size_t kStatusLineMax = 4096;

std::string text_of(const json& object, const char* name) {
  return object.contains(name) && object[name].is_string() ? object[name].get<std::string>() : "";
}

uint64_t number_of(const json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name].is_number()
             ? object[name].get<uint64_t>()
             : 0;
}

void read_sites(const json& list, ServerStatus* status) {
  if (!list.is_array()) return;
  for (const json& item : list) {
    if (!item.is_object()) continue;
    SiteStatus& site = status->sites[text_of(item, "name")];
    site.state = text_of(item, "state");
    site.kind = text_of(item, "kind");
    site.sandbox = text_of(item, "sandbox");
    site.user = text_of(item, "user");
    site.php = text_of(item, "php");
    site.memory_bytes = number_of(item, "memory_bytes");
    site.last_request = static_cast<int64_t>(number_of(item, "last_request"));
    site.workers_busy = number_of(item, "workers_busy");
    if (item.contains("requests")) site.requests = number_of(item["requests"], "all");
    if (!item.contains("processes") || !item["processes"].is_array()) continue;
    for (const json& process : item["processes"]) {
      if (!process.is_object() || !process.contains("pid") || !process["pid"].is_number()) continue;
      site.processes.push_back(process["pid"].get<int>());
      if (process.contains("workers")) site.workers += process["workers"].size();
    }
  }
}

// What the last reading said: the whole configuration, which grows with the number of sites, is
// read only to be checked, not for one path.
std::string& known_pid_path(const Places& places) {
  static std::map<std::string, std::string> by_config;
  return by_config[places.config()];
}

// A wildcard address is asked at loopback.
std::string reachable(std::string listen) {
  for (auto [from, to] : {std::pair{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}}) {
    if (listen.starts_with(from)) return to + listen.substr(std::strlen(from));
  }
  return listen;
}

Result<sys::Fd> connect_to(const std::string& listen) {
  if (listen.starts_with("unix:")) return sys::connect_unix(listen.substr(5));
  const std::string address = TRY(sys::parse_pool_listen(reachable(listen)));
  const auto* raw = reinterpret_cast<const sockaddr*>(address.data());
  sys::Fd fd(::socket(raw->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), raw, static_cast<socklen_t>(address.size())) < 0) {
    return fail_errno("cannot connect to " + reachable(listen));
  }
  return fd;
}

}  // namespace

Result<master::Loaded> load_all(const Places& places) {
  auto loaded = master::load(places.server());
  if (loaded) {
    known_pid_path(places) = loaded->model->pid_path;
    return std::move(*loaded);
  }
  if (loaded.error().nginx) return fail(loaded.error().nginx->describe());
  return fail(words_of(loaded.error().fpm));
}

std::string words_of(const std::vector<config::FpmMessage>& messages) {
  std::string text;
  for (const config::FpmMessage& message : messages) {
    if (message.level < config::FpmLevel::kError && !message.raw) continue;
    text += (text.empty() ? "" : "; ") + message.text;
  }
  return text.empty() ? "the pool files cannot be used" : text;
}

Result<std::string> pid_path(const Places& places) {
  if (!places.pid.empty()) return places.pid;
  if (const std::string& known = known_pid_path(places); !known.empty()) return known;
  return TRY(load_all(places)).model->pid_path;
}

std::optional<ServerStatus> ask_server(const std::string& pid_path, Ask what) {
  const char* question = what == Ask::kWhether ? "brief" : what == Ask::kSites ? "sites" : "status";
  auto text = master::ask_master(pid_path, question);
  const json whole = json::parse(text ? *text : "", nullptr, false);
  if (!whole.is_object() || !whole.contains("pid") || !whole["pid"].is_number()) return {};
  ServerStatus status;
  status.pid = whole["pid"].get<int>();
  if (whole.contains("generation") && whole["generation"].is_number()) {
    status.generation = whole["generation"].get<uint64_t>();
  }
  status.reloads_refused = number_of(whole, "reloads_refused");
  status.refused_because = text_of(whole, "refused_because");
  if (whole.contains("sites")) read_sites(whole["sites"], &status);
  return status;
}

Result<bool> reload_server(const std::string& pid_path) {
  const auto before = ask_server(pid_path, Ask::kWhether);
  if (!before) return false;
  const sys::Fd server = TRY(sys::open_pidfd(static_cast<pid_t>(before->pid)));
  // What has the number now is a server, and still runs after that was read: so it is its
  // descriptor.
  auto name = sys::read_file("/proc/" + std::to_string(before->pid) + "/comm", kNameMax);
  pollfd gone{server.get(), POLLIN, 0};
  if (!name || !name->starts_with("bulkhead") || ::poll(&gone, 1, 0) != 0) {
    return fail("the server does not answer any more");
  }
  TRY_STATUS(sys::send_signal(server, SIGHUP));
  const auto until = Clock::now() + kReloadMax;
  auto pause = kFirstPause;
  while (Clock::now() < until) {
    std::this_thread::sleep_for(pause);
    pause = std::min(pause + pause / 2, kLongestPause);
    const auto now = ask_server(pid_path, Ask::kWhether);
    pollfd ended{server.get(), POLLIN, 0};  // readable also while nobody has reaped it
    if (!now && ::poll(&ended, 1, 0) > 0) {
      return fail("the server ended while it reloaded: see its error log");
    }
    if (now && now->generation > before->generation) return true;
    if (now && now->reloads_refused > before->reloads_refused) {
      return fail("the server refuses the new configuration: " +
                  (now->refused_because.empty() ? "see its error log" : now->refused_because));
    }
  }
  return fail("the server has not taken the new configuration in " +
              std::to_string(kReloadMax.count()) + " s: see its error log");
}

Result<int> probe_http(const std::string& listen, const std::string& host) {
  const sys::Fd fd = TRY(connect_to(listen));
  const std::string request = "GET / HTTP/1.1\r\nHost: " + host +
                              "\r\nUser-Agent: bulkhead-site\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return fail_errno("cannot ask " + listen);
  }
  std::string line;
  const auto until = Clock::now() + kAnswerMax;
  while (line.find('\n') == std::string::npos && line.size() < kStatusLineMax) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{fd.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&polled, 1, static_cast<int>(left)) <= 0) {
      return fail(host + " gives no answer at " + listen);
    }
    char buffer[1024];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    line.append(buffer, static_cast<size_t>(n));
  }
  int status = 0;
  if (line.size() < 12 || !line.starts_with("HTTP/1.") ||
      std::from_chars(line.data() + 9, line.data() + 12, status).ec != std::errc()) {
    return fail(host + " answers something else than HTTP at " + listen);
  }
  return status;
}

}  // namespace bulkhead::sites
