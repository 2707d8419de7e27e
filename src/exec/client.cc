#include "exec/client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "exec/order.h"
#include "exec/protocol.h"
#include "exec/relay.h"
#include "exec/terminal.h"
#include "sys/files.h"
#include "sys/message.h"
#include "sys/sealed.h"
#include "sys/sockets.h"

namespace bulkhead::exec {
namespace {

constexpr int kAnswerPatienceS = 60;  // master waits half of that for a site that starts
constexpr size_t kProgramBytesMax = 256u << 20;

template <class T>
std::string_view bytes_of(const T& body) {
  return {reinterpret_cast<const char*>(&body), sizeof body};
}

// What master said: the session, or why not.
struct Granted {
  sys::Fd session;
  uid_t uid = 0;
};

Result<Granted> read_answer(sys::FdRef socket) {
  char buffer[sizeof(Answer) + kAnswerTextMax];
  size_t have = 0;
  std::vector<sys::Fd> fds, more;
  Answer answer{};
  while (have < sizeof answer || have < sizeof answer + answer.text_size) {
    size_t size = 0;
    const auto result =
        sys::receive_message(socket, {buffer + have, sizeof buffer - have}, &size, &more);
    if (result == sys::ReceiveResult::kWouldBlock) return fail("the server does not answer");
    if (result != sys::ReceiveResult::kMessage) {
      return fail("the server closed the connection: too many callers, or it is stopping");
    }
    for (sys::Fd& fd : more) fds.push_back(std::move(fd));
    have += size;
    if (have >= sizeof answer) std::memcpy(&answer, buffer, sizeof answer);
    if (answer.text_size > kAnswerTextMax) return fail("the server's answer makes no sense");
  }
  if (answer.verdict != Verdict::kGo) {
    return fail(std::string(buffer + sizeof answer, answer.text_size));
  }
  if (fds.size() != 1) return fail("the server's answer makes no sense");
  return Granted{std::move(fds[0]), answer.uid};
}

Result<Granted> ask(const ExecRequest& request) {
  if (request.site.empty() || request.site.size() > kSiteNameMax) {
    return fail("\"" + request.site + "\" cannot be a site's name");
  }
  auto socket = sys::connect_unix(request.socket);
  if (!socket) {
    return fail_errno("no server answers at " + request.socket + ": is it running?",
                      socket.error().errno_value);
  }
  timeval patience{kAnswerPatienceS, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const Question question{kVersion, static_cast<uint32_t>(request.site.size())};
  if (sys::send_message(*socket, bytes_of(question), request.site) != sys::SendResult::kSent) {
    return fail_errno("the server does not take questions");
  }
  return read_answer(*socket);
}

// The program as memory without a path: the site can run it, and reach nothing through it.
Result<sys::Fd> copy_program(sys::FdRef from) {
  struct stat facts {};
  if (::fstat(from.get(), &facts) < 0) return fail_errno("fstat() of the program failed");
  if (!S_ISREG(facts.st_mode) || static_cast<size_t>(facts.st_size) > kProgramBytesMax) {
    return fail("the program is no regular file, or larger than 256 MiB");
  }
  std::string bytes(static_cast<size_t>(facts.st_size), '\0');
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n =
        ::pread(from.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("the program cannot be read");
    at += static_cast<size_t>(n);
  }
  return sys::create_sealed("program", bytes);
}

// A descriptor for the command in place of `ours`: itself, or /dev/null for none.
Result<sys::Fd> pass_on(sys::FdRef ours, const char* what) {
  if (!ours.valid()) {
    sys::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null.valid()) return fail_errno("open() \"/dev/null\" failed");
    return null;
  }
  struct stat facts {};
  if (::fstat(ours.get(), &facts) < 0) return fail_errno(std::string(what) + " is not open");
  if (S_ISDIR(facts.st_mode)) return fail(std::string(what) + " is a directory");
  return sys::duplicate(ours);
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Order order_of(const ExecRequest& request, bool with_terminal) {
  Order order;
  order.argv = request.argv;
  order.env = request.env;
  order.directory = request.directory;
  order.hint = request.directory_hint;
  if (with_terminal) order.terminal_type = environment("TERM");
  order.language = environment("LC_ALL");
  if (order.language.empty()) order.language = environment("LANG");
  return order;
}

// What the command gets as 0, 1 and 2, and what of it we relay.
Status connect_streams(const ExecRequest& request, uid_t uid, Conversation* talk,
                       std::vector<sys::Fd>* fds) {
  const bool with_terminal = wants_terminal(request);
  if (with_terminal) {
    Pty pty = TRY(Pty::create(request.in, uid));
    talk->use_terminal(request.in, request.out, std::move(pty.master));
    fds->push_back(std::move(pty.slave));
  } else {
    const bool hidden = is_terminal(request.in);
    fds->push_back(TRY(pass_on(hidden ? sys::FdRef() : request.in, "standard input")));
  }
  for (const sys::FdRef ours : {request.out, request.err}) {
    const char* what = ours == request.out ? "standard output" : "standard error";
    if (!is_terminal(ours)) {
      fds->push_back(TRY(pass_on(ours, what)));
    } else if (with_terminal) {
      fds->push_back(TRY(sys::duplicate((*fds)[0])));
    } else {
      fds->push_back(TRY(talk->relay_to(ours, uid)));
    }
  }
  return {};
}

}  // namespace

bool wants_terminal(const ExecRequest& request) {
  if (request.terminal == Terminal::kNever || !is_terminal(request.in)) return false;
  return request.terminal == Terminal::kAlways || is_terminal(request.out);
}

std::string socket_path(const std::string& pid_path) {
  std::string path = pid_path;
  if (path.ends_with(".pid") || path.ends_with(".ctl")) path.resize(path.size() - 4);
  return path.ends_with(".exec") ? path : path + ".exec";
}

Result<int> run_in_site(const ExecRequest& request) {
  Granted granted = TRY(ask(request));
  Conversation talk(std::move(granted.session));
  std::vector<sys::Fd> fds;
  const bool with_terminal = wants_terminal(request);
  const std::string bytes = TRY(encode(order_of(request, with_terminal)));
  fds.push_back(TRY(sys::create_sealed("order", bytes)));
  std::vector<sys::Fd> streams;
  TRY_STATUS(connect_streams(request, granted.uid, &talk, &streams));
  for (sys::Fd& fd : streams) fds.push_back(std::move(fd));
  if (request.program.valid()) fds.push_back(TRY(copy_program(request.program)));
  const OrderMessage message{{SessionOp::kOrder, 0},
                             static_cast<uint32_t>(bytes.size()),
                             with_terminal ? 1u : 0u,
                             request.program.valid() ? 1u : 0u};
  return talk.run(bytes_of(message), std::move(fds), request);
}

}  // namespace bulkhead::exec
