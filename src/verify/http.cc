#include "verify/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>

namespace bulkhead::verify {

using Clock = std::chrono::steady_clock;

Connection::Connection(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd_.reset();
}

bool Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::string Connection::receive_all(std::chrono::milliseconds patience, size_t bytes_max) {
  std::string out;
  auto until = Clock::now() + patience;
  while (fd_.valid() && out.size() < bytes_max) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd p{fd_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) break;
    char bytes[65536];
    ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n <= 0) break;
    out.append(bytes, static_cast<size_t>(n));
  }
  return out;
}

Reply parse_reply(const std::string& bytes) {
  Reply reply;
  if (!bytes.starts_with("HTTP/1.")) return reply;
  reply.status = std::atoi(bytes.c_str() + sizeof("HTTP/1.x") - 1);
  size_t end = bytes.find("\r\n\r\n");
  reply.head = bytes.substr(0, end);
  if (end != std::string::npos) reply.body = bytes.substr(end + 4);
  return reply;
}

std::string request_text(const std::string& host, const std::string& target,
                         const std::string& headers) {
  return "GET " + target + " HTTP/1.0\r\nHost: " + host + "\r\n" + headers + "\r\n";
}

Reply get(uint16_t port, const std::string& host, const std::string& target,
          const std::string& headers, std::chrono::milliseconds patience) {
  Connection connection(port);
  if (!connection.is_open() || !connection.send(request_text(host, target, headers))) return {};
  return parse_reply(connection.receive_all(patience));
}

std::string token_header(const std::string& token) { return "X-Bhv-Token: " + token + "\r\n"; }

std::string percent(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    if (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.') {
      out += static_cast<char>(c);
    } else {
      out.append({'%', kHex[c >> 4], kHex[c & 15]});
    }
  }
  return out;
}

}  // namespace bulkhead::verify
