#include "master/listeners.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "master/plan.h"
#include "sys/files.h"
#include "sys/notify.h"
#include "sys/users.h"

namespace bulkhead::master {
namespace {

std::string with_errno(std::string text, int error) {
  return std::move(text) + " (" + std::to_string(error) + ": " + std::strerror(error) + ")";
}

sys::ListenOptions options_of(const config::Listen& listen) {
  sys::ListenOptions o;
  o.backlog = listen.backlog;
  o.rcvbuf = listen.rcvbuf;
  o.sndbuf = listen.sndbuf;
  o.fastopen = listen.fastopen;
  o.reuseport = listen.reuseport;
  o.deferred = listen.deferred;
  o.ipv6only = listen.ipv6only;
  o.keepalive.set = listen.so_keepalive.set;
  o.keepalive.on = listen.so_keepalive.on;
  o.keepalive.idle_s = listen.so_keepalive.idle;
  o.keepalive.interval_s = listen.so_keepalive.interval;
  o.keepalive.count = listen.so_keepalive.count;
  return o;
}

template <class Id>
std::vector<Id> each_id(const std::string& names, std::optional<Id> (*find)(const std::string&)) {
  std::vector<Id> ids;
  size_t at = 0;
  while (at < names.size()) {
    size_t end = names.find(',', at);
    if (end == std::string::npos) end = names.size();
    std::string name = names.substr(at, end - at);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (auto id = find(name)) ids.push_back(*id);
    at = end + 1;
  }
  return ids;
}

sys::UnixAccess access_of(const config::PoolConfig& pool) {
  sys::UnixAccess access;
  access.mode = 0660;
  if (!pool.listen_mode.empty()) {
    access.mode = static_cast<mode_t>(std::strtoul(pool.listen_mode.c_str(), nullptr, 8));
  }
  access.acl_users = each_id<uid_t>(pool.listen_acl_users, sys::find_uid);
  access.acl_groups = each_id<gid_t>(pool.listen_acl_groups, sys::find_gid);
  if (!pool.listen_owner.empty()) access.uid = sys::find_uid(pool.listen_owner);
  if (!pool.listen_group.empty()) access.gid = sys::find_gid(pool.listen_group);
  return access;
}

// php-fpm names an address as the pool file does.
std::string pool_text(const std::string& sockaddr) {
  std::string path = sys::unix_path(sockaddr);
  return path.empty() ? sys::address_text(sockaddr) : path;
}

// Sockets are known by their address as text: raw unix addresses differ in padding.
std::string key_of(const std::string& sockaddr) { return sys::address_text(sockaddr); }
void remove_socket_file(const std::string& key) {
  if (key.starts_with("unix:/")) sys::remove_socket(key.substr(5));
}

}  // namespace

bool is_served(const config::Listen& listen) { return !listen.ssl && !listen.quic; }

void Listeners::claim(int fd, From from) {
  sys::Fd socket(fd);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    (void)socket.release();
    return;
  }
  if (!sys::is_listening(socket)) return;
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  std::string address = sys::local_address(socket);
  if (address.empty()) return;
  inherited_[key_of(address)] = Open{std::move(socket), {}, {}, from == From::kSystemd};
}

void Listeners::inherit() {
  for (sys::Fd& fd : sys::take_activation_sockets()) {
    claim(fd.release(), From::kSystemd);
  }
  if (const char* list = std::getenv("NGINX")) {
    log_.nginx(LogLevel::kNotice, std::string("using inherited sockets from \"") + list + "\"");
    for (const char* at = list; *at != '\0';) {
      char* end = nullptr;
      long fd = std::strtol(at, &end, 10);
      if (end == at || (*end != ';' && *end != ':')) break;
      if (fd > 2 && fd < 1 << 20) claim(static_cast<int>(fd), From::kServer);
      at = end + 1;
    }
    ::unsetenv("NGINX");
  }
  if (const char* list = std::getenv("FPM_SOCKETS")) {
    std::string text(list);
    for (size_t at = 0; at < text.size();) {
      size_t end = std::min(text.find(',', at), text.size());
      std::string item = text.substr(at, end - at);
      size_t equals = item.rfind('=');
      if (equals != std::string::npos) {
        int fd = std::atoi(item.c_str() + equals + 1);
        if (fd > 2) {
          claim(fd, From::kServer);
          log_.fpm(FpmLevel::kNotice, "using inherited socket fd=" + std::to_string(fd) + ", \"" +
                                          item.substr(0, equals) + "\"");
        }
      }
      at = end + 1;
    }
    ::unsetenv("FPM_SOCKETS");
  }
}

void Listeners::drop_unclaimed() { inherited_.clear(); }

std::vector<Listeners::Wanted> Listeners::wanted(const Loaded& loaded) {
  std::vector<Wanted> out;
  for (const config::Listen& listen : loaded.model->listens) {
    if (is_served(listen)) out.push_back({listen.sockaddr, options_of(listen), false, nullptr});
  }
  for (size_t i = 0; i < loaded.pool_addresses.size(); ++i) {
    const config::PoolConfig& pool = loaded.fpm->pools[loaded.pool_of_listener[i]];
    sys::ListenOptions options;
    options.backlog = pool.listen_backlog;
    options.ipv6only = false;  // php-fpm leaves a bare port open to both families
    out.push_back({loaded.pool_addresses[i], options, true, &pool});
  }
  return out;
}

Listeners::Outcome Listeners::report(const Wanted& want, const sys::ListenError& error, Kind kind) {
  using Step = sys::ListenError::Step;
  bool busy = error.step == Step::kBind && error.errno_value == EADDRINUSE;
  if (!want.of_pool) {
    std::string what = error.step == Step::kBind || error.step == Step::kListen
                           ? error.detail + " to " + sys::address_text(want.sockaddr) + " failed"
                           : error.detail + " " + sys::address_text(want.sockaddr) + " failed";
    log_.nginx(LogLevel::kEmerg, with_errno(what, error.errno_value));
    return busy ? Outcome::kBusy : Outcome::kFailed;
  }
  std::string address = pool_text(want.sockaddr);
  if (busy && !sys::unix_path(want.sockaddr).empty()) {
    log_.fpm(FpmLevel::kError, "Another FPM instance seems to already listen on " + address);
  } else if (error.step == Step::kAccess) {
    log_.fpm(FpmLevel::kError, "[pool " + want.pool->name + "] " + error.detail + ": " +
                                   std::strerror(error.errno_value) + " (" +
                                   std::to_string(error.errno_value) + ")");
  } else {
    log_.fpm(FpmLevel::kError, "unable to bind listening socket for address '" + address +
                                   "': " + std::strerror(error.errno_value) + " (" +
                                   std::to_string(error.errno_value) + ")");
  }
  return Outcome::kFailed;
}

Listeners::Outcome Listeners::open_one(const Wanted& want, Kind kind,
                                       std::vector<std::string>* opened) {
  std::string key = key_of(want.sockaddr);
  if (auto old = open_.find(key); old != open_.end()) {
    sys::adjust_listener(old->second.socket, want.options);
    return Outcome::kOpen;
  }
  if (auto found = inherited_.find(key); found != inherited_.end()) {
    sys::adjust_listener(found->second.socket, want.options);
    if (found->second.of_systemd && is_guarded(want)) found->second.access = access_of(*want.pool);
    open_[key] = std::move(found->second);
    inherited_.erase(found);
    return Outcome::kOpen;
  }
  Open fresh;
  if (is_guarded(want)) fresh.access = access_of(*want.pool);
  auto socket = sys::listen_on(want.sockaddr, want.options, fresh.access ? &*fresh.access : nullptr,
                               &fresh.file);
  if (!socket) return report(want, socket.error(), kind);
  fresh.socket = std::move(*socket);
  // Where the kernel finds the file by its socket, ten thousand pools need no second descriptor
  // each.
  if (fresh.file.valid() && sys::bound_file(fresh.socket)) fresh.file.reset();
  open_[key] = std::move(fresh);
  opened->push_back(key);
  return Outcome::kOpen;
}

bool Listeners::is_guarded(const Wanted& want) {
  return want.pool != nullptr && !sys::unix_path(want.sockaddr).empty();
}

Status Listeners::give_access(Open* open, const sys::UnixAccess& access) {
  if (open->file.valid()) return sys::change_unix_access(open->file, access);
  const sys::Fd file = TRY(sys::bound_file(open->socket));
  return sys::change_unix_access(file, access);
}

bool Listeners::change_access(const std::vector<Wanted>& all) {
  std::vector<std::pair<Open*, sys::UnixAccess>> changed;  // what they had
  for (const Wanted& want : all) {
    auto at = is_guarded(want) ? open_.find(key_of(want.sockaddr)) : open_.end();
    if (at == open_.end()) continue;
    Open& open = at->second;
    sys::UnixAccess access = access_of(*want.pool);
    if (open.access == access) continue;
    auto given = give_access(&open, access);
    std::string text = "[pool " + want.pool->name + "] the socket '" + pool_text(want.sockaddr) +
                       "' keeps its owner, group, mode and ACL: ";
    if (!given && open.access) {
      log_.fpm(FpmLevel::kError, text + given.error().describe());
      for (auto& [other, before] : changed) {
        if (give_access(other, before)) other->access = before;
      }
      return false;
    }
    // Inherited: it works, only perhaps for others than the file says.
    if (!given) log_.fpm(FpmLevel::kWarning, text + given.error().describe());
    if (open.access) changed.emplace_back(&open, *open.access);
    open.access = std::move(access);
  }
  return true;
}

bool Listeners::open(const Loaded& loaded, Kind kind, bool patient) {
  std::vector<std::string> opened;
  std::vector<Wanted> all = wanted(loaded);
  bool failed = false, busy = false;
  for (int tries = patient ? kBindTries : 1; tries > 0; --tries) {
    busy = false;
    for (const Wanted& want : all) {
      Outcome outcome = open_one(want, kind, &opened);
      failed = failed || outcome == Outcome::kFailed;
      busy = busy || outcome == Outcome::kBusy;
      if (failed) break;
    }
    if (failed || !busy) break;
    if (patient) {
      log_.nginx(LogLevel::kNotice, "try again to bind() after 500ms");
      ::usleep(kBindPauseMs * 1000);
    }
  }
  if (!failed && !busy && change_access(all)) return true;
  if (busy && !failed) log_.nginx(LogLevel::kEmerg, "still could not bind()");
  for (const std::string& key : opened) {
    remove_socket_file(key);
    open_.erase(key);
  }
  return false;
}

void Listeners::close_unused(const Loaded& loaded) {
  std::vector<std::string> have, want;
  for (const auto& [address, socket] : open_) have.push_back(address);
  for (const Wanted& w : wanted(loaded)) want.push_back(key_of(w.sockaddr));
  for (const std::string& key : plan_listeners(have, want).close) {
    remove_socket_file(key);
    open_.erase(key);
  }
}

void Listeners::close_all(bool remove_files) {
  for (const auto& [key, socket] : open_) {
    if (remove_files) remove_socket_file(key);
  }
  open_.clear();
}

std::vector<sys::FdRef> Listeners::web(const Loaded& loaded) const {
  std::vector<sys::FdRef> out;
  for (const config::Listen& listen : loaded.model->listens) {
    auto at = open_.find(key_of(listen.sockaddr));
    out.push_back(at == open_.end() ? sys::FdRef() : sys::FdRef(at->second.socket));
  }
  return out;
}

std::vector<sys::FdRef> Listeners::pools(const Loaded& loaded) const {
  std::vector<sys::FdRef> out;
  for (const std::string& address : loaded.pool_addresses) {
    auto at = open_.find(key_of(address));
    out.push_back(at == open_.end() ? sys::FdRef() : sys::FdRef(at->second.socket));
  }
  return out;
}

std::vector<sys::FdRef> Listeners::all() const {
  std::vector<sys::FdRef> out;
  for (const auto& [key, open] : open_) out.emplace_back(open.socket);
  return out;
}

int Listeners::number_of(const std::string& sockaddr) const {
  auto at = open_.find(key_of(sockaddr));
  return at == open_.end() ? -1 : at->second.socket.get();
}

}  // namespace bulkhead::master
