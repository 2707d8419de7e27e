// See zygote.h.
#include "pool/zygote.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "ipc/channel.h"
#include "ipc/protocol.h"
#include "pool/pool_start.h"
#include "sys/fork_into.h"
#include "sys/host_pid.h"
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

// In its control group, and with a pid namespace of its own, when it should and the machine has
// them.
pid_t fork_one(const ForkOrder& order, const Nursery& nursery, Group* group) {
  const auto policy = policy_of(order);
  const bool apart = policy && nursery.offered.pid_namespace && policy->wants(sandbox::Layer::kPid);
  if (const sys::FdRef directory = group_of(order); directory.valid()) {
    *group = Group::kBeganThere;
    const pid_t pid = apart ? sys::fork_first_process(nursery.pid_namespace, directory)
                            : sys::fork_into(directory);
    if (pid >= 0) return pid;
  }
  *group = Group::kToJoin;
  return apart ? sys::fork_first_process(nursery.pid_namespace) : fork();
}

// Forks one pool.  Returns in the zygote only.
void fork_pool(sys::Fd& master, ForkOrder order, Nursery& nursery) {
  if (!is_complete(order)) {
    tell_failed(master, order.body.site, EPROTO);
    return;
  }
  Group group{};
  const pid_t pid = fork_one(order, nursery, &group);
  if (pid == 0) {
    master.reset();
    nursery.pid_namespace.reset();
    _exit(run_pool(std::move(order), nursery, group));
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
bool serve_one(sys::Fd& master, std::span<char> buffer, Nursery& nursery) {
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
  if (nursery.offered.base) nursery.etc.renew(nursery.offered.base->etc);
  fork_pool(master, std::move(order), nursery);
  return true;
}

// Beside this program.
std::string find_sendmail() {
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::string path = unknown ? "" : self.parent_path() / "bulkhead-sendmail";
  return ::access(path.c_str(), X_OK) == 0 ? path : "";
}

// What this machine offers to every site.  What it does not is said once, on standard error.
Nursery make_nursery(const std::string& state) {
  Nursery nursery;
  if (auto link = sys::open_self_link()) nursery.self_link = std::move(*link);
  if (auto filter = sandbox::Filter::for_site()) {
    nursery.offered.filter = std::move(*filter);
  } else {
    fprintf(stderr, "sandbox: no system call filter: %s\n", filter.error().describe().c_str());
  }
  nursery.offered.sendmail = find_sendmail();
  if (state.empty()) {
    nursery.offered.why = "not root";
    return nursery;
  }
  auto base = sandbox::BaseTree::create(state, nursery.offered.sendmail);
  if (base) {
    nursery.offered.base = std::move(*base);
  } else {
    nursery.offered.why = base.error().describe();
    fprintf(stderr, "sandbox: no site can have a view of its own: %s\n",
            nursery.offered.why.c_str());
  }
  // A process is forked to see whether it works.
  auto own = sys::open_pid_namespace();
  const pid_t tried = own ? sys::fork_first_process(*own) : -1;
  if (tried == 0) _exit(0);
  if (tried > 0) {
    nursery.pid_namespace = std::move(*own);
    nursery.offered.pid_namespace = true;
  } else {
    const std::string why = fail_errno("pid namespaces cannot be made").error().describe();
    if (nursery.offered.why.empty()) nursery.offered.why = why;
    fprintf(stderr, "sandbox: %s\n", why.c_str());
  }
  return nursery;
}

}  // namespace

int run_zygote(sys::Fd master, const std::string& state) {
  setpgid(0, 0);             // a terminal's signals are master's to hear
  signal(SIGCHLD, SIG_IGN);  // pools are master's to follow (by pidfd); none stays as a zombie
  sys::ignore_sigpipe();
  sys::pin_shared_memory();
  Nursery nursery = make_nursery(state);
  tell(master, ipc::Op::kReady, {});
  std::vector<char> buffer(sizeof(ipc::Header) + ipc::kMaxPayload);
  do {
    wait_for_message(master);
  } while (serve_one(master, buffer, nursery));
  return 0;
}

}  // namespace bulkhead::pool
