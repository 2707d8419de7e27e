#include "exec/sessions.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "exec/protocol.h"
#include "sys/message.h"

namespace bulkhead::exec {
namespace {

constexpr int kPassedOn[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                             SIGUSR2, SIGKILL, SIGCONT, SIGTSTP};

template <class T>
std::string_view bytes_of(const T& body) {
  return {reinterpret_cast<const char*>(&body), sizeof body};
}

}  // namespace

// One caller and its command.
class Sessions::Session final : private loop::IoHandler {
 public:
  Session(Sessions& owner, sys::Fd socket)
      : owner_(owner), socket_(std::move(socket)), patience_([this] { owner_.remove(this); }) {}
  ~Session() override { close(); }
  // After this it can be destroyed at any time, also without its owner.
  void close();

  Status start() {
    TRY_STATUS(owner_.loop_.add(socket_, EPOLLIN, this));
    patience_.arm(owner_.loop_, kOrderPatience);
    return {};
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const {
    // It may not lead its group yet.
    if (pid_ > 0 && ::kill(-pid_, number) != 0) ::kill(pid_, number);
  }
  void refuse(int error, std::string_view text) {
    const SessionMessage head{SessionOp::kRefused, error};
    (void)sys::send_message(socket_, bytes_of(head), text.substr(0, kAnswerTextMax));
  }
  void tell_outcome(int wait_status) {
    const SessionMessage outcome{SessionOp::kOutcome, wait_status};
    if (socket_.valid()) (void)sys::send_message(socket_, bytes_of(outcome), {});
  }

 private:
  void on_ready(uint32_t) override;
  // False: this session is gone.
  bool obey(std::string_view message, std::vector<sys::Fd>& fds);
  bool take_order(const OrderMessage& message, std::vector<sys::Fd>& fds);
  Status run(const OrderMessage& message, std::vector<sys::Fd>& fds);
  void caller_gone();

  Sessions& owner_;
  sys::Fd socket_;
  loop::Timer patience_;  // for the order
  pid_t pid_ = -1;        // also its process group and session
};

void Sessions::Session::close() {
  patience_.cancel();
  if (!socket_.valid()) return;
  owner_.loop_.remove(socket_, this);
  socket_.reset();
}

// Its terminal, if it had one, is gone too: what any program hears when a terminal closes.
void Sessions::Session::caller_gone() {
  if (pid_ <= 0) return owner_.remove(this);
  close();
  signal(SIGHUP);
  signal(SIGCONT);
}

void Sessions::Session::on_ready(uint32_t) {
  char buffer[256];
  std::vector<sys::Fd> fds;
  size_t size = 0;
  switch (sys::receive_message(socket_, buffer, &size, &fds)) {
    case sys::ReceiveResult::kWouldBlock:
      return;
    case sys::ReceiveResult::kMessage:
      if (!obey({buffer, size}, fds)) return;
      break;
    default:
      return caller_gone();
  }
}

bool Sessions::Session::obey(std::string_view message, std::vector<sys::Fd>& fds) {
  SessionMessage head;
  if (message.size() < sizeof head) return caller_gone(), false;
  std::memcpy(&head, message.data(), sizeof head);
  OrderMessage order;
  if (head.op == SessionOp::kOrder && pid_ < 0 && message.size() == sizeof order) {
    std::memcpy(&order, message.data(), sizeof order);
    return take_order(order, fds);
  }
  const bool known =
      std::find(std::begin(kPassedOn), std::end(kPassedOn), head.value) != std::end(kPassedOn);
  if (head.op != SessionOp::kSignal || pid_ < 0 || !known) return caller_gone(), false;
  signal(head.value);
  return true;
}

bool Sessions::Session::take_order(const OrderMessage& message, std::vector<sys::Fd>& fds) {
  patience_.cancel();
  Status started = run(message, fds);
  if (started) return true;
  refuse(started.error().errno_value, started.error().text);
  owner_.remove(this);
  return false;
}

Status Sessions::Session::run(const OrderMessage& message, std::vector<sys::Fd>& fds) {
  // A session that began before the site was told to finish may still say what it came for.
  if (owner_.ending_) return fail("the site is stopping");
  const size_t expected = 4 + (message.has_program != 0 ? 1 : 0);
  if (fds.size() != expected) return fail("the order came with the wrong descriptors");
  const std::string bytes = TRY(read_sealed(fds[0], message.bytes));
  Command command;
  command.order = TRY(decode(bytes));
  command.has_terminal = message.has_terminal != 0;
  command.has_program = message.has_program != 0;
  fds.erase(fds.begin());
  command.fds = std::move(fds);
  const Account account = own_account();
  const pid_t pool = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(std::move(command), pool, account, owner_.of_pool_);
  if (pid < 0) return fail_errno("fork() in the site failed");
  pid_ = pid;
  return {};
}

Sessions::Sessions(loop::EventLoop& loop, Variables of_pool, std::function<void()> on_empty)
    : loop_(loop), of_pool_(std::move(of_pool)), on_empty_(std::move(on_empty)) {
  patience_ = std::make_unique<loop::Timer>([this] {
    if (ending_) {
      signal_all(SIGKILL);
      patience_->arm(loop_, kKillAfter);
    } else {
      end_now();
    }
  });
}

Sessions::~Sessions() = default;

void Sessions::begin(sys::Fd socket) {
  auto session = std::make_unique<Session>(*this, std::move(socket));
  if (closed_) return session->refuse(ECANCELED, "the site is stopping");
  if (sessions_.size() >= kSessionsMax) {
    return session->refuse(EAGAIN, std::to_string(kSessionsMax) + " commands run in it already");
  }
  if (Status started = session->start(); !started) {
    return session->refuse(started.error().errno_value, started.error().text);
  }
  sessions_.push_back(std::move(session));
}

bool Sessions::reap(pid_t pid, int wait_status) {
  auto at = std::find_if(sessions_.begin(), sessions_.end(),
                         [&](const auto& session) { return session->pid() == pid; });
  if (at == sessions_.end()) return false;
  (*at)->tell_outcome(wait_status);
  remove(at->get());
  return true;
}

// The session may be inside one of its own calls: it dies when the loop is back.
void Sessions::remove(Session* session) {
  auto at = std::find_if(sessions_.begin(), sessions_.end(),
                         [&](const auto& owned) { return owned.get() == session; });
  if (at == sessions_.end()) return;
  session->close();
  loop_.defer([dead = std::shared_ptr<Session>(std::move(*at))] {});
  sessions_.erase(at);
  if (!sessions_.empty()) return;
  patience_->cancel();
  on_empty_();
}

void Sessions::signal_all(int signal) {
  for (const auto& session : sessions_) session->signal(signal);
}

void Sessions::finish() {
  if (closed_) return;
  closed_ = true;
  if (busy()) patience_->arm(loop_, kFinishMax);
}

void Sessions::end_now() {
  closed_ = true;
  if (ending_) return;
  ending_ = true;
  // One that still waits for its order has nothing to end.
  for (size_t i = sessions_.size(); i-- > 0;) {
    if (i < sessions_.size() && sessions_[i]->pid() < 0) remove(sessions_[i].get());
  }
  for (int signal : {SIGHUP, SIGTERM, SIGCONT}) signal_all(signal);
  if (busy()) patience_->arm(loop_, kKillAfter);
}

}  // namespace bulkhead::exec
