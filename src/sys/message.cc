#include "sys/message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace bulkhead::sys {

SendResult send_message(FdRef socket, std::string_view head, std::string_view body,
                        std::span<const FdRef> fds) {
  BH_CHECK(fds.size() <= kMessageFdsMax);
  iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                    {const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)];
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!fds.empty()) {
    int numbers[kMessageFdsMax];
    for (size_t i = 0; i < fds.size(); ++i) numbers[i] = fds[i].get();
    std::memset(control, 0, sizeof control);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(c), numbers, sizeof(int) * fds.size());
  }
  for (;;) {
    if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) >= 0) return SendResult::kSent;
    if (errno == EINTR) continue;
    // ETOOMANYREFS: descriptors in flight are limited per user; the peer will take them.
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
      return SendResult::kWouldBlock;
    }
    return SendResult::kClosed;
  }
}

ReceiveResult receive_message(FdRef socket, std::span<char> buffer, size_t* size,
                              std::vector<Fd>* fds) {
  fds->clear();
  *size = 0;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    return errno == EAGAIN ? ReceiveResult::kWouldBlock : ReceiveResult::kClosed;
  }
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number;
      std::memcpy(&number, CMSG_DATA(c) + i * sizeof(int), sizeof number);
      fds->emplace_back(number);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    fds->clear();
    return ReceiveResult::kInvalid;
  }
  // A datagram is never empty in our protocols, so nothing means the end of the stream.
  if (n == 0) return ReceiveResult::kClosed;
  *size = static_cast<size_t>(n);
  return ReceiveResult::kMessage;
}

}  // namespace bulkhead::sys
