// See smtp_link.h.
#include "mail/smtp_link.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sys/stream_connect.h"

namespace bulkhead::mail {
namespace {
constexpr std::chrono::seconds kConnect{30};
}

bool SmtpLink::fail_with(std::string text) {
  error_ = std::move(text);
  return false;
}

bool SmtpLink::wait_for(short events, Clock::time_point end) {
  for (;;) {
    const auto left = std::chrono::ceil<Wait>(end - Clock::now());
    if (left <= Wait(0)) return fail_with("it did not answer in time");
    pollfd p{fd_.get(), events, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(std::min<int64_t>(left.count(), 1 << 30)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return fail_with(std::strerror(errno));
  }
}

Status SmtpLink::try_address(std::string_view sockaddr) {
  sys::Connecting attempt = sys::connect_stream(sockaddr);
  if (!attempt.fd.valid()) return fail_errno("connect() failed", attempt.error);
  fd_ = std::move(attempt.fd);
  if (!attempt.in_progress) return {};
  if (!wait_for(POLLOUT, Clock::now() + std::min<Wait>(kConnect, longest_))) {
    return fail_errno("connect() failed", ETIMEDOUT);
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail_errno("connect() failed", error);
  return {};
}

Status SmtpLink::connect(const std::string& host, uint16_t port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  const std::string service = std::to_string(port);
  int error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found);
  if (error != 0) {
    // AI_ADDRCONFIG leaves loopback addresses out on a machine without a network.
    hints.ai_flags = AI_NUMERICSERV;
    error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found);
  }
  if (error == EAI_AGAIN) {
    return fail_errno("the relay's name '" + host + "' cannot be looked up now", EAGAIN);
  }
  if (error != 0) {
    return fail("the relay's name '" + host + "' has no address: " + ::gai_strerror(error));
  }
  Status last = fail_errno("the relay's name has no address", EADDRNOTAVAIL);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    last = try_address({reinterpret_cast<const char*>(a->ai_addr), a->ai_addrlen});
    if (last) break;
  }
  ::freeaddrinfo(found);
  if (!last) {
    return fail_errno("cannot reach the relay " + host + ":" + service, last.error().errno_value);
  }
  return {};
}

bool SmtpLink::write(std::string_view bytes, Wait wait) {
  const auto end = Clock::now() + std::min(wait, longest_);
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(POLLOUT, end)) return false;
    } else if (errno != EINTR) {
      return fail_with(std::strerror(errno));
    }
  }
  return true;
}

SmtpLink::Read SmtpLink::read_reply(Reply* out, Wait wait) {
  const auto end = Clock::now() + std::min(wait, longest_);
  error_ = "it said nothing";
  for (;;) {
    size_t used = 0;
    const ReplyReader::Step step = reader_.feed(unread_, &used);
    unread_.erase(0, used);
    if (step == ReplyReader::Step::kBroken) return Read::kBroken;
    if (step == ReplyReader::Step::kDone) {
      *out = reader_.take();
      return Read::kReply;
    }
    char part[4096];
    const ssize_t n = ::recv(fd_.get(), part, sizeof part, 0);
    if (n > 0) {
      unread_.assign(part, static_cast<size_t>(n));
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wait_for(POLLIN, end)) return Read::kClosed;
    } else if (n == 0 || errno != EINTR) {
      if (n < 0) (void)fail_with(std::strerror(errno));
      return Read::kClosed;
    }
  }
}

std::string SmtpLink::own_literal() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[INET6_ADDRSTRLEN] = "127.0.0.1";
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    if (address.ss_family == AF_INET) {
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr, text,
                  sizeof text);
    } else if (address.ss_family == AF_INET6) {
      ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr, text,
                  sizeof text);
      return "[IPv6:" + std::string(text) + "]";
    }
  }
  return "[" + std::string(text) + "]";
}

}  // namespace bulkhead::mail
