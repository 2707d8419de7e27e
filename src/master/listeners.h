// Every listening socket: opened once, kept over reloads, closed when no configuration names it.
//
// Runs in: master.  Input: configuration (trusted); inherited descriptors named by the environment.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "master/load.h"
#include "master/log.h"
#include "sys/fd.h"
#include "sys/sockets.h"

namespace bulkhead::master {

// How often bind() is tried again while another process still holds the address.
constexpr int kBindTries = 5;
constexpr int kBindPauseMs = 500;

class Listeners {
 public:
  explicit Listeners(Log& log) : log_(log) {}

  // Takes over sockets from $NGINX ("5;6;"), $FPM_SOCKETS ("ADDRESS=5,...") and systemd.
  void inherit();
  // Opens what `loaded` needs and is not open yet, and gives pools' sockets that stay open their
  // new owner, group, mode and ACL.  On failure everything opened by this call is closed again and
  // what was open stays as it was.  Errors are logged in the words of the half concerned. Blocks:
  // up to kBindTries * kBindPauseMs when `patient`.
  [[nodiscard]] bool open(const Loaded& loaded, Kind kind, bool patient);
  // Closes what `loaded` no longer names; unix socket files are removed.
  void close_unused(const Loaded& loaded);
  void close_all(bool remove_files);
  // Closes descriptors that were inherited but nobody asked for.
  void drop_unclaimed();

  // In order of Model::listens (a socket of a protocol we do not speak yet: invalid), and of
  // Loaded::pool_addresses.
  [[nodiscard]] std::vector<sys::FdRef> web(const Loaded& loaded) const;
  [[nodiscard]] std::vector<sys::FdRef> pools(const Loaded& loaded) const;
  // All that are open, for a server that takes them over.
  [[nodiscard]] std::vector<sys::FdRef> all() const;
  // "ADDRESS", fd: for php-fpm's "using inherited socket" lines.
  [[nodiscard]] int number_of(const std::string& sockaddr) const;

 private:
  struct Wanted {
    std::string sockaddr;
    sys::ListenOptions options;
    bool of_pool = false;
    const config::PoolConfig* pool = nullptr;
  };
  static std::vector<Wanted> wanted(const Loaded& loaded);
  struct Open {
    sys::Fd socket;
    sys::Fd file;  // O_PATH: of a pool's unix socket, where the kernel does not tell
    std::optional<sys::UnixAccess> access;  // what the file has; unset: inherited, unknown
    bool of_systemd = false;                // its unit says who may connect
  };
  enum class Outcome : uint8_t { kOpen, kBusy, kFailed };
  Outcome open_one(const Wanted& want, Kind kind, std::vector<std::string>* opened);
  Outcome report(const Wanted& want, const sys::ListenError& error, Kind kind);
  static bool is_guarded(const Wanted& want);
  bool change_access(const std::vector<Wanted>& all);
  Status give_access(Open* open, const sys::UnixAccess& access);
  enum class From : uint8_t { kSystemd, kServer };
  void claim(int fd, From from);

  Log& log_;
  std::map<std::string, Open> open_;  // by address as text
  std::map<std::string, Open> inherited_;
};

// Whether a `listen` names a protocol this build serves (TLS and QUIC come later).
[[nodiscard]] bool is_served(const config::Listen& listen);

}  // namespace bulkhead::master
