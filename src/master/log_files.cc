#include "master/log_files.h"

#include <netdb.h>
#include <sys/socket.h>

#include "sys/files.h"
#include "sys/sockets.h"

namespace bulkhead::master {
namespace {

constexpr std::string_view kSyslog = "syslog:";

// The value of "server=" in "syslog:server=HOST[:PORT]|unix:PATH,...".
std::string syslog_server(std::string_view target) {
  target.remove_prefix(kSyslog.size());
  while (!target.empty()) {
    size_t comma = target.find(',');
    std::string_view item = target.substr(0, comma);
    if (item.starts_with("server=")) return std::string(item.substr(7));
    if (comma == std::string_view::npos) break;
    target.remove_prefix(comma + 1);
  }
  return {};
}

Result<sys::Fd> connect_datagram(int family, const sockaddr* address, socklen_t size,
                                 const std::string& server) {
  sys::Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno("socket() failed");
  // A log server that is away must not stop the server; datagrams are lost until it is back.
  (void)::connect(fd.get(), address, size);
  return fd;
}

Result<sys::Fd> open_syslog(const std::string& server) {
  if (server.starts_with("unix:")) {
    std::string address = TRY(sys::make_unix_address(server.substr(5)));
    return connect_datagram(AF_UNIX, reinterpret_cast<const sockaddr*>(address.data()),
                            static_cast<socklen_t>(address.size()), server);
  }
  std::string host = server, port = "514";
  size_t colon = server.rfind(':');
  if (colon != std::string::npos && server.find(']', colon) == std::string::npos) {
    host = server.substr(0, colon);
    port = server.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return fail("host not found in syslog server \"" + server + "\"");
  }
  auto fd = connect_datagram(found->ai_family, found->ai_addr, found->ai_addrlen, server);
  ::freeaddrinfo(found);
  return fd;
}

}  // namespace

Result<sys::Fd> open_log_target(const std::string& target) {
  if (target == "stderr") return sys::duplicate(sys::FdRef(2));
  if (target.starts_with(kSyslog)) return open_syslog(syslog_server(target));
  return sys::open_log(target);
}

sys::Fd open_first_log(const Options& options, Log* log) {
  // Standard error as a log gets whole lines; a person in front of `serve` gets short ones.
  bool plain = options.kind == Kind::kNginx && options.error_log == "stderr";
  log->set_plain_stderr(plain);
  if (options.kind != Kind::kNginx || plain) return {};
  std::string path = options.error_log;
  if (!path.starts_with('/')) path = options.prefix + path;
  auto fd = open_log_target(path);
  if (!fd) {
    log->nginx(LogLevel::kAlert, "could not open error log file: " + fd.error().describe());
    return {};
  }
  log->set_nginx({{*fd, LogLevel::kNotice}});
  return std::move(*fd);
}

Result<std::vector<sys::Fd>> open_log_files(const config::Model& model) {
  std::vector<sys::Fd> files;
  for (const config::LogFile& file : model.log_files) {
    files.push_back(TRY(open_log_target(file.path)));
  }
  return files;
}

Result<std::vector<sys::Fd>> reopen_log_files(const config::Model& model,
                                              const config::Model& before,
                                              const std::vector<sys::Fd>& open,
                                              std::vector<std::string>* problems) {
  std::vector<sys::Fd> files;
  for (const config::LogFile& file : model.log_files) {
    auto fresh = open_log_target(file.path);
    if (!fresh) {
      size_t i = 0;
      while (i < before.log_files.size() && before.log_files[i].path != file.path) ++i;
      if (i >= before.log_files.size() || i >= open.size()) return std::unexpected(fresh.error());
      problems->push_back(fresh.error().describe() + "; the log stays where it was");
      fresh = sys::duplicate(open[i]);
    }
    files.push_back(TRY(std::move(fresh)));
  }
  return files;
}

}  // namespace bulkhead::master
