// See zygote.h.
#include "pool/zygote.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "ipc/channel.h"
#include "ipc/protocol.h"
#include "pool/pool_start.h"
#include "sys/message.h"
#include "sys/private_memory.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace bulkhead::pool {
namespace {

bool tell(sys::FdRef master, ipc::Op op, std::string_view payload,
          std::span<const sys::FdRef> fds = {}) {
  const ipc::Header header{static_cast<uint16_t>(op), static_cast<uint16_t>(fds.size()),
                           static_cast<uint32_t>(payload.size())};
  return sys::send_message(master, ipc::body_bytes(header), payload, fds) == sys::SendResult::kSent;
}

void tell_failed(sys::FdRef master, uint32_t site, int error) {
  struct {
    uint32_t site;
    int32_t error;
  } body{site, error};
  tell(master, ipc::Op::kForkFailed, ipc::body_bytes(body));
}

// Forks one pool.  Returns in the zygote only.
void fork_pool(sys::Fd& master, ForkOrder order) {
  if (!is_complete(order)) {
    tell_failed(master, order.body.site, EPROTO);
    return;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    master.reset();
    _exit(run_pool(std::move(order)));
  }
  if (pid < 0) {
    tell_failed(master, order.body.site, errno);
    return;
  }
  auto pidfd = sys::open_pidfd(pid);
  if (!pidfd) {
    tell_failed(master, order.body.site, pidfd.error().errno_value);
    return;
  }
  const ipc::ForkedBody body{order.body.site, order.body.epoch, pid, 0};
  const sys::FdRef fds[] = {*pidfd};
  tell(master, ipc::Op::kForked, ipc::body_bytes(body), fds);
}

// Sleeps until there is a message, also on a socket that does not block.
void wait_for_message(sys::FdRef master) {
  pollfd p{master.get(), POLLIN, 0};
  poll(&p, 1, -1);
}

// One datagram.  False: master is gone, or spoke nonsense.
bool serve_one(sys::Fd& master, std::span<char> buffer) {
  ForkOrder order;
  size_t size = 0;
  switch (sys::receive_message(master, buffer, &size, &order.fds)) {
    case sys::ReceiveResult::kMessage:
      break;
    case sys::ReceiveResult::kWouldBlock:
      return true;
    default:
      return false;
  }
  std::string_view payload;
  const auto header = ipc::read_body<ipc::Header>({buffer.data(), size}, &payload);
  if (!header || header->size != payload.size()) return false;
  if (static_cast<ipc::Op>(header->op) != ipc::Op::kFork) return true;
  const auto body = ipc::read_body<ipc::ForkBody>(payload);
  if (!body) return false;
  order.body = *body;
  fork_pool(master, std::move(order));
  return true;
}

}  // namespace

int run_zygote(sys::Fd master) {
  setpgid(0, 0);             // a terminal's signals are master's to hear
  signal(SIGCHLD, SIG_IGN);  // pools are master's to follow (by pidfd); none stays as a zombie
  sys::ignore_sigpipe();
  sys::pin_shared_memory();
  tell(master, ipc::Op::kReady, {});
  std::vector<char> buffer(sizeof(ipc::Header) + ipc::kMaxPayload);
  do {
    wait_for_message(master);
  } while (serve_one(master, buffer));
  return 0;
}

}  // namespace bulkhead::pool
