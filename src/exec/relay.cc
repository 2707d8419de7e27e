#include "exec/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "exec/protocol.h"
#include "sys/message.h"

namespace bulkhead::exec {
namespace {

constexpr int kDrainMs = 200;  // without a byte; processes left behind may hold the streams open
using Clock = std::chrono::steady_clock;

template <class T>
std::string_view bytes_of(const T& body) {
  return {reinterpret_cast<const char*>(&body), sizeof body};
}

// The thread's signal mask as it was.
class Mask {
 public:
  Mask() { ::pthread_sigmask(SIG_BLOCK, nullptr, &before_); }
  ~Mask() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

// One round of poll(): who asked for what.
struct Conversation::Polled {
  std::vector<pollfd> fds;
  void add(sys::FdRef fd, short events) { fds.push_back({fd.get(), events, 0}); }
  // Whether `fd` was found ready for any of `events` (or has ended).
  [[nodiscard]] bool ready(sys::FdRef fd, short events) const {
    return std::any_of(fds.begin(), fds.end(), [&](const pollfd& p) {
      return p.fd == fd.get() && (p.events & events) != 0 &&
             (p.revents & (events | POLLHUP | POLLERR | POLLNVAL)) != 0;
    });
  }
  [[nodiscard]] bool any() const {
    return std::any_of(fds.begin(), fds.end(), [](const pollfd& p) { return p.revents != 0; });
  }
};

void Conversation::use_terminal(sys::FdRef in, sys::FdRef out, sys::Fd pty) {
  pty_ = std::move(pty);
  terminal_ = in;
  keys_.emplace(in, pty_);
  outputs_.emplace_back(pty_, is_terminal(out) ? out : in);
}

Result<sys::Fd> Conversation::relay_to(sys::FdRef ours, uid_t uid) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2() failed");
  sys::Fd read_end(ends[0]), write_end(ends[1]);
  // So that the command may open /dev/stdout.
  if (::geteuid() == 0 && ::fchown(write_end.get(), uid, static_cast<gid_t>(-1)) != 0) {
    return fail_errno("fchown() of a pipe failed");
  }
  outputs_.emplace_back(read_end, ours);
  pipes_.push_back(std::move(read_end));
  return write_end;
}

Result<int> Conversation::run(std::string_view order, std::vector<sys::Fd> fds,
                              const ExecRequest& request) {
  const Mask mask;
  if (request.relay_signals) {
    signals_ = TRY(sys::SignalSource::create(
        {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}));
  }
  std::vector<sys::FdRef> refs(fds.begin(), fds.end());
  if (sys::send_message(session_, order, {}, refs) != sys::SendResult::kSent) {
    auto why = hear();  // it may have refused before it closed
    return why ? std::move(*why) : fail("the site's pool does not take commands");
  }
  fds.clear();  // else we would keep our own pipes open
  if (terminal_.valid()) raw_ = std::make_unique<RawMode>(terminal_);
  Result<int> outcome = wait(request);
  if (outcome) drain();
  raw_.reset();
  signals_.reset();
  return outcome;
}

std::optional<Result<int>> Conversation::hear() {
  char buffer[sizeof(SessionMessage) + kAnswerTextMax];
  size_t size = 0;
  std::vector<sys::Fd> unwanted;
  auto received = sys::receive_message(session_, buffer, &size, &unwanted);
  // A pool that closed before it read all we said: an error is reported first, then what it said.
  if (received == sys::ReceiveResult::kClosed) {
    received = sys::receive_message(session_, buffer, &size, &unwanted);
  }
  switch (received) {
    case sys::ReceiveResult::kWouldBlock:
      return {};
    case sys::ReceiveResult::kMessage:
      break;
    default:
      return fail("the site's processes ended before the command did");
  }
  SessionMessage head;
  if (size < sizeof head) return fail("the site's pool said nonsense");
  std::memcpy(&head, buffer, sizeof head);
  if (head.op == SessionOp::kOutcome) return head.value;
  if (head.op != SessionOp::kRefused) return fail("the site's pool said nonsense");
  std::string text(buffer + sizeof head, size - sizeof head);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '.';  // it may go to a terminal
  }
  return fail_errno("refused: " + text, head.value);
}

Conversation::Caller Conversation::pass_signals() {
  while (auto signal = signals_->next()) {
    if (signal->number == SIGWINCH || signal->number == SIGCONT) {
      if (!terminal_.valid()) continue;
      if (signal->number == SIGCONT && raw_ != nullptr) raw_->enter();
      copy_window_size(terminal_, pty_);
      continue;
    }
    if (signal->number == SIGHUP && terminal_.valid()) return Caller::kGone;
    const SessionMessage message{SessionOp::kSignal, signal->number};
    (void)sys::send_message(session_, bytes_of(message), {});
  }
  return Caller::kThere;
}

void Conversation::turn(int timeout_ms, Polled* polled) {
  polled->fds.clear();
  polled->add(session_, POLLIN);
  if (signals_) polled->add(signals_->fd(), POLLIN);
  auto add = [&](const Relay& relay) {
    if (relay.wants_read()) polled->add(relay.from(), POLLIN);
    if (relay.wants_write()) polled->add(relay.to(), POLLOUT);
  };
  if (keys_) add(*keys_);
  for (const Relay& relay : outputs_) add(relay);
  if (::poll(polled->fds.data(), polled->fds.size(), timeout_ms) < 0) {
    for (pollfd& p : polled->fds) p.revents = 0;
  }
  auto move = [&](Relay& relay) {
    if (relay.wants_write() && polled->ready(relay.to(), POLLOUT)) relay.write_some();
    if (relay.wants_read() && polled->ready(relay.from(), POLLIN)) relay.read_some();
  };
  if (keys_) move(*keys_);
  for (Relay& relay : outputs_) move(relay);
}

Result<int> Conversation::wait(const ExecRequest& request) {
  const bool limited = request.timeout.count() > 0;
  const auto until = Clock::now() + request.timeout;
  Polled polled;
  for (;;) {
    int timeout_ms = -1;
    if (limited) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (left.count() <= 0) {
        session_.reset();  // the pool hangs up on the command
        return fail_errno("the command took longer than it may", ETIMEDOUT);
      }
      timeout_ms = static_cast<int>(std::min<int64_t>(left.count(), 3'600'000));
    }
    turn(timeout_ms, &polled);
    if (signals_ && polled.ready(signals_->fd(), POLLIN) && pass_signals() == Caller::kGone) {
      session_.reset();  // the pool hangs up on the command
      return SIGHUP;
    }
    if (!polled.ready(session_, POLLIN)) continue;
    if (auto outcome = hear()) return std::move(*outcome);
  }
}

void Conversation::drain() {
  keys_.reset();
  signals_.reset();
  session_.reset();
  Polled polled;
  auto busy = [](const Relay& r) { return !r.ended() || r.wants_write(); };
  while (std::any_of(outputs_.begin(), outputs_.end(), busy)) {
    turn(kDrainMs, &polled);
    if (!polled.any()) return;
  }
}

}  // namespace bulkhead::exec
