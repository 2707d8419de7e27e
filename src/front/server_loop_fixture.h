// For tests: a whole loop of front with real sockets, driven by hand: one thread, port 0, no site.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "config/nginx_parser.h"
#include "front/server_loop.h"

namespace bulkhead::front::testing {

// A client that never blocks.
class Client {
 public:
  explicit Client(uint16_t port) {
    fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to));
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }
  void send(std::string_view bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
      ssize_t n = ::send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    sent_all_ = done == bytes.size();
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  // Takes what has come; false once the server has closed.
  bool read(size_t at_most = SIZE_MAX) {
    char buffer[65536];
    while (at_most > 0) {
      ssize_t n = ::recv(fd_.get(), buffer, std::min(sizeof buffer, at_most), 0);
      if (n == 0) closed = true;
      if (n < 0 && errno != EAGAIN) closed = true;
      if (n <= 0) break;
      received.append(buffer, static_cast<size_t>(n));
      at_most -= static_cast<size_t>(n);
    }
    return !closed;
  }
  [[nodiscard]] size_t count(std::string_view what) const {
    size_t n = 0;
    for (size_t at = 0; (at = received.find(what, at)) != std::string::npos; ++at) ++n;
    return n;
  }
  std::string received;
  bool closed = false;
  bool sent_all_ = true;

 private:
  sys::Fd fd_;
};

class ServerLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shared_.pid = static_cast<uint32_t>(::getpid());
    ServerLoop::Hooks hooks;
    hooks.wake = [](uint32_t) {};
    hooks.refused = [](uint32_t, std::string_view) {};
    hooks.settled = [this](uint64_t generation) { settled_ = generation; };
    auto loop = ServerLoop::create(shared_, std::move(hooks));
    ASSERT_TRUE(loop.has_value());
    loop_ = std::move(*loop);
    listener_ = std::make_shared<sys::Fd>(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(0, ::bind(listener_->get(), reinterpret_cast<sockaddr*>(&at), sizeof at));
    ASSERT_EQ(0, ::listen(listener_->get(), 64));
    socklen_t size = sizeof at;
    ASSERT_EQ(0, ::getsockname(listener_->get(), reinterpret_cast<sockaddr*>(&at), &size));
    port_ = ntohs(at.sin_port);
  }
  // Serves `server` lines from now on; every log goes to one memory file.
  void configure(std::string http, std::string server, std::string events = "") {
    std::string text = "error_log err.log info; events {" + events + "} http { " +
                       "access_log acc.log; " + http +
                       " server { listen 127.0.0.1:80; server_name a; " + server + " } }";
    config::FileSource source;
    source.read = [text](const std::string&) -> Result<std::string> { return text; };
    source.glob = [](const std::string&) { return std::vector<std::string>(); };
    config::ParseOptions options;
    options.prefix = "/nowhere/";
    auto ast = config::parse_file("/nowhere/nginx.conf", options, source);
    ASSERT_TRUE(ast.has_value()) << ast.error().describe();
    config::Snapshot snapshot;
    snapshot.ast = std::move(*ast);
    snapshot.role = "nginx";
    snapshot.sites.push_back({.id = 1, .name = "@a"});
    snapshot.opener_of_server = {1};
    auto plan = Plan::create(std::move(snapshot));
    ASSERT_TRUE(plan.has_value()) << plan.error().describe();
    auto runtime = std::make_shared<Runtime>();
    runtime->generation = ++generation_;
    runtime->plan = *plan;
    runtime->listeners.push_back(listener_);
    auto logs = std::make_shared<LogSet>();
    for (const auto& file : (*plan)->model().log_files) {
      int fd = ::memfd_create("log", MFD_CLOEXEC);
      logs->files.emplace_back(fd);
      (file.path.ends_with("acc.log") ? access_fd_ : error_fd_) = ::dup(fd);
    }
    loop_->activate(runtime, logs);
  }
  // Server lines that answer with kLarge bytes.
  static std::string large() {
    std::string out = "set $b \"" + std::string(4000, 'b') + "\"; return 200 \"";
    for (int i = 0; i < 15; ++i) out += "$b";
    return out + "\";";
  }
  static constexpr size_t kLarge = 60'000;
  void turn(int times = 20) {
    for (int i = 0; i < times; ++i) loop_->events().run_once(loop::Millis(0));
  }
  // Runs the loop until the condition holds; at most two seconds.
  template <class Condition>
  bool run_until(Condition condition) {
    auto until = loop::Clock::now() + std::chrono::seconds(2);
    while (!condition()) {
      if (loop::Clock::now() > until) return false;
      loop_->events().run_once(loop::Millis(5));
    }
    return true;
  }
  bool run_until_closed(Client& client) {
    return run_until([&] { return !client.read(); });
  }
  static std::string contents(int fd) {
    std::string out(1 << 20, '\0');
    ssize_t n = ::pread(fd, out.data(), out.size(), 0);
    out.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return out;
  }
  std::string access() { return contents(access_fd_); }
  std::string errors() { return contents(error_fd_); }

  static constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
  FrontShared shared_;
  std::unique_ptr<ServerLoop> loop_;
  std::shared_ptr<sys::Fd> listener_;
  uint16_t port_ = 0;
  uint64_t generation_ = 0, settled_ = 0;
  int access_fd_ = -1, error_fd_ = -1;
};

}  // namespace bulkhead::front::testing
