#include "verify/setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "exec/client.h"
#include "sys/files.h"
#include "sys/process.h"
#include "verify/http.h"
#include "verify/pair.h"

namespace bulkhead::verify {

std::string nginx_text(const Server& server);  // setup_files.cc
std::string fpm_text(const Server& server, const Plan& plan);

namespace {

Result<uint16_t> free_port() {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return fail_errno("no free port on 127.0.0.1");
  }
  return ntohs(address.sin_port);
}

Result<sys::Identity> make_user(const std::string& name, const std::string& home, Record& record) {
  TRY_STATUS(record.note_user(name));
  Process::How how;
  how.argv = {"/usr/sbin/useradd", "-U", "-M", "-d", home, "-s", "/usr/sbin/nologin", name};
  how.output = record.directory() + "/useradd.log";
  Process tool = TRY(Process::start(how));
  for (int i = 0; i < 4000 && tool.poll_exit() < 0; ++i) ::usleep(5000);
  if (tool.poll_exit() != 0) {
    auto text = sys::read_file(how.output);
    return fail("cannot make the user " + name + ": " + (text ? *text : ""));
  }
  return sys::find_identity(name, "");
}

Status make_directory(const std::string& path, int mode, const sys::Identity* owner = nullptr) {
  if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("cannot make " + path);
  if (owner != nullptr && ::chown(path.c_str(), owner->uid, owner->gid) != 0) {
    return fail_errno("cannot give " + path + " away");
  }
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) return fail_errno("chmod " + path);
  return {};
}

Status make_file(const std::string& path, const std::string& text, int mode,
                 const sys::Identity* owner = nullptr) {
  sys::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid() || !sys::write_all(file, text)) return fail_errno("cannot write " + path);
  if (owner != nullptr && ::fchown(file.get(), owner->uid, owner->gid) != 0) {
    return fail_errno("cannot give " + path + " away");
  }
  if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0) return fail_errno("chmod " + path);
  return {};
}

// The web root with what root must place in it before the site's own code ever ran.
Status make_site(const Server& server, const Site& site) {
  TRY_STATUS(make_directory(site.root, 0755, &site.user));
  TRY_STATUS(make_directory(server.base + "/log/" + site.name, 0755, &site.user));
  TRY_STATUS(
      make_file(site.root + "/index.html", "<h1>" + site.name + "</h1>\n", 0644, &site.user));
  auto probe = TRY(sys::read_file(server.base + "/bin/bulkhead-probe"));
  TRY_STATUS(make_file(site.root + "/setuid-probe", probe, 04755));
  return make_file(site.root + "/root-only", "BHVMARK" + random_hex(24), 0400);
}

// A session keyring of the server's own, with a key in it, as a login would leave one.
void make_keyring(Server* server) {
  constexpr long kEverything = 0x3f3f3f3f;
  server->key_name = "bhv" + random_hex(12);
  const std::string value = "BHVMARK" + random_hex(24);
  long ring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  long key = ::syscall(SYS_add_key, "user", server->key_name.c_str(), value.data(), value.size(),
                       KEY_SPEC_SESSION_KEYRING);
  if (ring >= 0) ::syscall(SYS_keyctl, KEYCTL_SETPERM, ring, kEverything);
  if (key >= 0) ::syscall(SYS_keyctl, KEYCTL_SETPERM, key, kEverything);
}

Status make_files(Server* server, const Plan& plan, Record& record) {
  const std::string& base = server->base;
  for (auto [name, mode] : {std::pair{"sites", 0755},
                            {"etc", 0755},
                            {"log", 0755},
                            {"run", 0755},
                            {"bin", 0755},
                            {"state", 0711},
                            {"temp", 0711}}) {
    TRY_STATUS(make_directory(base + "/" + name, mode));
  }
  auto probe = TRY(sys::read_file(sys::program_directory() + "/bulkhead-probe"));
  TRY_STATUS(make_file(base + "/bin/bulkhead-probe", probe, 0755));
  uint16_t port = TRY(free_port());
  const std::string stem = "bhv" + random_hex(5);
  for (int i = 0; i < plan.sites; ++i) {
    Site site;
    site.name = plan.as_the_article ? (i == 0 ? "site1" : "www")
                                    : stem + std::string(1, static_cast<char>('a' + i));
    site.root = base + "/sites/" + site.name;
    site.host = site.name + ".test";
    site.port = port;
    site.pool_socket = base + "/run/" + site.name + ".sock";
    site.access_log = base + "/log/" + site.name + "/access.log";
    if (plan.as_the_article && i == 1) {
      site.user = TRY(sys::find_identity("www-data", ""));
    } else {
      site.user =
          TRY(make_user(stem + std::string(1, static_cast<char>('a' + i)), site.root, record));
    }
    TRY_STATUS(make_site(*server, site));
    server->sites.push_back(std::move(site));
  }
  server->log_dir = base + "/log";
  server->config = base + "/etc/nginx.conf";
  server->pid_file = base + "/run/server.pid";
  server->control = base + "/run/server.ctl";
  server->temp_dirs = {base + "/temp/body", base + "/temp/fastcgi", base + "/temp"};
  TRY_STATUS(make_file(server->config, nginx_text(*server), 0644));
  return make_file(base + "/etc/php-fpm.conf", fpm_text(*server, plan), 0644);
}

Result<Process> start_program(const std::vector<std::string>& argv, Server* server,
                              Record& record) {
  Process::How how;
  how.argv = argv;
  how.output = server->base + "/server.log";
  Process process = TRY(Process::start(how));
  TRY_STATUS(record.note_process(process.pid()));
  server->masters.push_back(process.pid());
  return process;
}

Status wait_until_served(const Server& server, std::vector<Process>& processes) {
  for (int i = 0; i < 400; ++i) {
    // The door of `bulkhead exec` opens a moment after the sockets.
    bool all = server.kind == ServerKind::kStock ||
               ::access(exec::socket_path(server.pid_file).c_str(), F_OK) == 0;
    for (const Site& site : server.sites) {
      Reply reply = get(site.port, site.host, "/index.html", "", std::chrono::seconds(2));
      all &= reply.status == 200 && reply.body.find(site.name) != std::string::npos &&
             ::access(site.pool_socket.c_str(), F_OK) == 0;
    }
    if (all) return {};
    for (Process& process : processes) {
      if (process.poll_exit() < 0) continue;
      auto log = sys::read_file(server.base + "/server.log");
      return fail("the private server did not start:\n" + (log ? *log : ""));
    }
    ::usleep(50'000);
  }
  auto log = sys::read_file(server.base + "/server.log");
  return fail("the private server does not answer after 20 s:\n" + (log ? *log : ""));
}

}  // namespace

Result<OwnServer> OwnServer::start(const Plan& plan, Record& record) {
  OwnServer own;
  Server& server = own.server;
  server.kind = plan.kind;
  server.is_own = true;
  server.layers_off = plan.layers_off;
  server.base = record.directory() + (plan.kind == ServerKind::kStock ? "/stock" : "/bulkhead");
  TRY_STATUS(make_directory(server.base, 0755));
  make_keyring(&server);
  TRY_STATUS(make_files(&server, plan, record));
  const std::string conf = server.config, pools = server.base + "/etc/php-fpm.conf";
  if (plan.kind == ServerKind::kStock) {
    for (const char* program : {"/usr/sbin/nginx", "/usr/sbin/php-fpm8.2"}) {
      if (::access(program, X_OK) != 0) {
        return fail(std::string(program) + " is missing: apt-get install nginx-light php8.2-fpm");
      }
    }
    own.processes_.push_back(
        TRY(start_program({"/usr/sbin/php-fpm8.2", "-F", "-y", pools}, &server, record)));
    own.processes_.push_back(TRY(
        start_program({"/usr/sbin/nginx", "-p", server.base + "/", "-c", conf, "-g", "daemon off;"},
                      &server, record)));
  } else {
    own.processes_.push_back(TRY(
        start_program({sys::program_directory() + "/bulkhead", "serve", "--nginx", conf, "--fpm",
                       pools, "--pid", server.pid_file, "--state", server.base + "/state"},
                      &server, record)));
  }
  TRY_STATUS(wait_until_served(server, own.processes_));
  return own;
}

void OwnServer::stop() {
  for (Process& process : processes_) process.signal(SIGTERM);
  for (Process& process : processes_) process.end(std::chrono::seconds(15));
  processes_.clear();
}

}  // namespace bulkhead::verify
