// For tests: answers requests with the real phases over a real directory, without sockets.
//
// Runs in: front_test only.  Files are opened by the test itself; applications are scripted.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "config/nginx_parser.h"
#include "front/phases.h"
#include "front/plan.h"
#include "ipc/site_channel.h"

namespace bulkhead::front {

enum class Answers : uint8_t { kAtOnce, kLater };

// Opens files as the test's user; kLater makes every question wait, as a cold cache does.
class TestFiles : public Files {
 public:
  Answers answers = Answers::kAtOnce;
  int opens = 0, realpaths = 0;

  FileRef open(const FileQuery& query, FileWaiter& waiter) override {
    ++opens;
    FileRef file = open_now(std::string(query.path));
    if (answers == Answers::kAtOnce) return file;
    later_.push_back([&waiter, file] { waiter.on_file(file); });
    return nullptr;
  }
  void list(const FileQuery& query, FileWaiter& waiter) override {
    FileRef file = list_now(std::string(query.path));
    later_.push_back([&waiter, file] { waiter.on_file(file); });
  }
  void realpath(const FileQuery& query, FileWaiter& waiter) override {
    ++realpaths;
    char buffer[PATH_MAX];
    const char* real = ::realpath(std::string(query.path).c_str(), buffer);
    std::string path = real == nullptr ? "" : real;
    later_.push_back([&waiter, path] { waiter.on_realpath(path, path.empty() ? ENOENT : 0); });
  }
  void settle() {
    while (!later_.empty()) {
      auto answer = std::move(later_.front());
      later_.pop_front();
      answer();
    }
  }

 private:
  static FileRef open_now(const std::string& path) {
    auto file = std::make_shared<OpenFile>();
    file->fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file->fd.valid()) {
      file->error = errno;
      return file;
    }
    struct stat st {};
    fstat(file->fd.get(), &st);
    file->exists = true;
    file->is_dir = S_ISDIR(st.st_mode);
    file->type = file->is_dir ? ipc::FileType::kDirectory : ipc::FileType::kRegular;
    file->executable = (st.st_mode & 0111) != 0;
    file->size = static_cast<uint64_t>(st.st_size);
    file->mtime = st.st_mtime;
    return file;
  }
  static FileRef list_now(const std::string& path) {
    auto file = std::make_shared<OpenFile>();
    std::error_code error;
    std::string bytes;
    for (const auto& e : std::filesystem::directory_iterator(path, error)) {
      struct stat st {};
      stat(e.path().c_str(), &st);
      std::string name = e.path().filename();
      ipc::ListEntry head{static_cast<uint64_t>(st.st_size),
                          st.st_mtime,
                          S_ISDIR(st.st_mode),
                          0,
                          static_cast<uint16_t>(name.size()),
                          0};
      bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
      bytes += name;
    }
    file->error = error.value();
    file->fd.reset(memfd_create("listing", MFD_CLOEXEC));
    if (write(file->fd.get(), bytes.data(), bytes.size()) < 0) file->error = EIO;
    return file;
  }
  std::deque<std::function<void()>> later_;
};

// Collects what is sent; applications answer with `app`.
class TestOutput : public Output {
 public:
  std::function<std::string(Exchange&)> app;  // CGI head and body; "" fails with kConnect
  Phases* phases = nullptr;
  std::string sent, errors, access;
  int apps = 0;
  bool closed = false;
  std::map<std::string, std::string> params;

  void respond(Exchange& ex) override {
    sent = ex.head;
    const Response& r = ex.response;
    if (r.header_only) return;
    if (r.body == BodyKind::kApp) sent += app_body_;
    for (const BodyPiece& piece : r.pieces) {
      if (piece.text.data() != nullptr) {
        sent += piece.text;
        continue;
      }
      std::string bytes(piece.size, '\0');
      ssize_t n = pread(r.file->fd.get(), bytes.data(), bytes.size(), (off_t)piece.offset);
      sent.append(bytes, 0, n < 0 ? 0 : static_cast<size_t>(n));
    }
  }
  void pass_to_app(Exchange& ex) override {
    ++apps;
    if (!ex.params_ready) phases->build_params(ex);
    if (!phases->choose_peer(ex)) return;
    if (!ex.tries.empty()) ex.tries.back().asked = true;
    params.clear();
    for (size_t i = 0; i < ex.params.size(); ++i) {
      params[std::string(ex.params.name(i))] = ex.params.value(i);
    }
    std::string answer = app ? app(ex) : "Content-type: text/html\r\n\r\napp";
    if (answer.empty()) {
      phases->on_app_error(ex, AppError::kConnect, "connect() failed (111: Connection refused)");
      return;
    }
    size_t end = answer.find("\r\n\r\n") + 4;
    app_body_ = answer.substr(end);
    phases->on_app_head(ex, answer.substr(0, end));
  }
  void drop_app(Exchange&) override { app_body_.clear(); }
  void close(Exchange&) override { closed = true; }
  void write_error_log(const Exchange&, const config::List<config::ErrorLog>&, config::LogLevel,
                       std::string_view line) override {
    errors += line;
  }
  void write_app_log(const Exchange&, const config::List<config::ErrorLog>&, config::LogLevel,
                     std::string_view line) override {
    errors += line;
  }
  void write_access_log(const Exchange&, const config::AccessLog&, uint32_t, std::string_view,
                        std::string_view line) override {
    access += line;
  }

 private:
  std::string app_body_;
};

// One configuration and the directory it serves ("ROOT" in the text).
class TestFront {
 public:
  explicit TestFront(std::string http, std::string role = "nginx") {
    char pattern[] = "/tmp/bulkhead-front-XXXXXX";
    root = mkdtemp(pattern);
    for (size_t at; (at = http.find("ROOT")) != std::string::npos;) http.replace(at, 4, root);
    load("error_log stderr info; events {} http { access_log off; " + http + " }", role);
  }
  ~TestFront() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }

  void file(const std::string& path, const std::string& text) {
    std::filesystem::path full = root + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
    timeval times[2] = {{1600000000, 0}, {1600000000, 0}};
    utimes(full.c_str(), times);
  }

  // The whole answer, head and body.
  std::string raw(const std::string& bytes) {
    Exchange& ex = exchange;
    ex.reset();
    request_bytes_ = bytes;
    parser_.clear();
    bool good = parser_.parse(request_bytes_) == http::ParseStep::kDone;
    ++connection.requests;
    ex.plan = plan;
    ex.connection = &connection;
    ex.request = &parser_;
    ex.started = loop->now();
    output.sent.clear();
    output.closed = false;
    if (good) {
      phases->start(ex);
    } else {
      phases->reject(ex, static_cast<uint16_t>(http::parse_error_status(parser_.error())),
                     parser_.error_text(), config::LogLevel::kInfo);
    }
    files.settle();
    ex.completed = true;
    phases->finish(ex);
    return output.sent;
  }
  std::string get(const std::string& target, const std::string& headers = "",
                  const std::string& method = "GET") {
    return raw(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
  }
  // Status code of the newest answer.
  static std::string status(const std::string& answer) { return answer.substr(9, 3); }
  static std::string body(const std::string& answer) {
    size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }
  static std::string header(const std::string& answer, const std::string& name) {
    size_t end = answer.find("\r\n\r\n");
    size_t at = answer.find("\r\n" + name + ": ");
    if (at == std::string::npos || at > end) return "(none)";
    at += name.size() + 4;
    return answer.substr(at, answer.find("\r\n", at) - at);
  }

  std::string root, problem;
  TestFiles files;
  TestOutput output;
  ConnectionFacts connection;
  ServerCounters counters;
  std::unique_ptr<loop::EventLoop> loop;
  std::shared_ptr<const Plan> plan;
  std::unique_ptr<Phases> phases;
  Exchange exchange;

 private:
  void load(const std::string& text, const std::string& role) {
    config::FileSource source;
    source.read = [&text](const std::string& path) -> Result<std::string> {
      if (path.ends_with("nginx.conf")) return text;
      return fail_errno("open() \"" + path + "\" failed", ENOENT);
    };
    source.glob = [](const std::string&) { return std::vector<std::string>(); };
    auto ast = config::parse_file("/etc/test/nginx.conf", {"/etc/test/", "", {}}, source);
    config::Snapshot snapshot;
    snapshot.role = role;
    if (!ast) {
      problem = ast.error().describe();
      return;
    }
    snapshot.ast = std::move(*ast);
    snapshot.sites.push_back(
        {.id = 1, .name = "one", .has_pool = true, .listen = "unix:/one.sock"});
    snapshot.opener_of_server.assign(64, 1);
    auto made = Plan::create(std::move(snapshot));
    if (!made) {
      problem = made.error().describe();
      return;
    }
    plan = *made;
    loop = std::move(*loop::EventLoop::create());
    loop->refresh_time();
    connection = {.serial = 7, .peer = "127.0.0.1", .peer_port = 40000};
    connection.peer_binary = std::string("\x7f\0\0\1", 4);
    connection.local = "127.0.0.1";
    connection.local_port = plan->model().listens.empty() ? 80 : 8080;
    connection.started = loop->now();
    phases = std::make_unique<Phases>(Ambient{loop.get(), &counters, 42, "host", nullptr}, files,
                                      output);
    output.phases = phases.get();
  }
  http::RequestParser parser_;
  std::string request_bytes_;
};

}  // namespace bulkhead::front
