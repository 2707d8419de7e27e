// What php-fpm checks after it has read its files, in its order and its words.
//
// Runs in: master.  Input: configuration (trusted); the file system as it is.
// Ref: php-fpm 8.2 observed with -t; php.net install.fpm.configuration.
#include "config/fpm_validate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <unordered_map>

#include "config/fpm_parser.h"
#include "config/fpm_table.h"

namespace bulkhead::config {
namespace {

constexpr int kLogLimitMin = 512;
constexpr int kPriorityUnset = 64, kPriorityMin = -19, kPriorityMax = 20;
constexpr const char* kPhpPrefix = "/usr";
constexpr const char* kStateDir = "/var";

// Settings that hold a path: made absolute under the pool's prefix unless the pool has a chroot.
constexpr std::string_view kPathSettings[] = {
    "error_log",
    "extension_dir",
    "mime_magic.magicfile",
    "sendmail_path",
    "session.cookie_path",
    "session_pgsql.sem_file_name",
    "soap.wsdl_cache_dir",
    "uploadprogress.file.filename_template",
    "xdebug.output_dir",
    "xdebug.profiler_output_dir",
    "xdebug.trace_output_dir",
};

bool is_directory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// The errno with which opening a log for appending (and making it) would fail; 0 when it would
// not.  Nothing is opened or made: the directory may be one a site can write to.
int log_fault(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return EISDIR;
    return access(path.c_str(), W_OK) == 0 ? 0 : errno;
  }
  if (errno != ENOENT) return errno;
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ENOENT;
  std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  if (stat(directory.c_str(), &st) != 0) return errno;
  if (!S_ISDIR(st.st_mode)) return ENOTDIR;
  return access(directory.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
}

std::string errno_words(int value) {
  return std::string(": ") + strerror(value) + " (" + std::to_string(value) + ")";
}

bool is_inet(std::string_view address) {
  return address.find(':') != std::string_view::npos ||
         address.find_first_not_of("0123456789") == std::string_view::npos;
}

class PoolCheck {
 public:
  PoolCheck(const FpmOptions& options, FpmConfig* config, PoolConfig* pool)
      : options_(options), config_(config), p_(*pool) {
    default_prefix_ = options.prefix.empty() ? kPhpPrefix : options.prefix;
    prefix_ = fpm_given(p_, "prefix") ? p_.prefix : default_prefix_;
  }

  bool run() {
    return prefix() && identity() && process_manager() && status_and_ping() && logs() &&
           directories() && values();
  }

 private:
  bool say(FpmLevel level, const std::string& text) {
    config_->messages.push_back({level, "[pool " + p_.name + "] " + text});
    return false;
  }
  bool error(const std::string& text) { return say(FpmLevel::kError, text); }
  bool alert(const std::string& text) { return say(FpmLevel::kAlert, text); }
  bool plain_error(std::string text) {
    config_->messages.push_back({FpmLevel::kError, std::move(text)});
    return false;
  }

  // Absolute under the pool's prefix, and that under php-fpm's own.
  std::string full(const std::string& path) const {
    return fpm_full_path(fpm_full_path(path, prefix_), default_prefix_);
  }

  bool prefix() {
    if (p_.prefix.empty()) return true;
    p_.prefix = prefix_ = fpm_full_path(p_.prefix, default_prefix_);
    if (is_directory(p_.prefix)) return true;
    return error("the prefix '" + p_.prefix + "' does not exist or is not a directory");
  }

  bool identity() {
    if (!fpm_given(p_, "user") && options_.as_root && !options_.allow_root)
      return alert("user has not been defined");
    if (p_.listen.empty()) return alert("no listen address have been defined!");
    if (!is_inet(p_.listen) && p_.listen[0] != '/') p_.listen = full(p_.listen);
    if (p_.process_priority != kPriorityUnset &&
        (p_.process_priority < kPriorityMin || p_.process_priority > kPriorityMax))
      return error("process.priority must be included into [-19,20]");
    return true;
  }

  bool process_manager() {
    if (!fpm_given(p_, "pm"))
      return alert("the process manager is missing (static, dynamic or ondemand)");
    if (p_.max_children < 1) return alert("pm.max_children must be a positive value");
    if (p_.pm == Pm::kDynamic) return dynamic();
    if (p_.pm == Pm::kOndemand) return ondemand();
    return true;
  }

  static std::string number(int v) { return "(" + std::to_string(v) + ")"; }

  bool dynamic() {
    std::string min = "pm.min_spare_servers" + number(p_.min_spare_servers);
    std::string max = "pm.max_spare_servers" + number(p_.max_spare_servers);
    if (p_.min_spare_servers <= 0) return alert(min + " must be a positive value");
    if (p_.max_spare_servers <= 0) return alert(max + " must be a positive value");
    if (p_.min_spare_servers > p_.max_children || p_.max_spare_servers > p_.max_children) {
      return alert(min + " and " + max + " cannot be greater than pm.max_children" +
                   number(p_.max_children));
    }
    if (p_.max_spare_servers < p_.min_spare_servers)
      return alert(max + " must not be less than " + min);
    if (p_.start_servers <= 0) {
      p_.start_servers = p_.min_spare_servers + (p_.max_spare_servers - p_.min_spare_servers) / 2;
      say(FpmLevel::kNotice, "pm.start_servers is not set. It's been set to " +
                                 std::to_string(p_.start_servers) + ".");
    } else if (p_.start_servers < p_.min_spare_servers || p_.start_servers > p_.max_spare_servers) {
      return alert("pm.start_servers" + number(p_.start_servers) + " must not be less than " + min +
                   " and not greater than " + max);
    }
    if (p_.max_spawn_rate < 1) return alert("pm.max_spawn_rate must be a positive value");
    return true;
  }

  bool ondemand() {
    p_.start_servers = p_.min_spare_servers = p_.max_spare_servers = 0;
    const std::string& mechanism = config_->global.events_mechanism;
    if (mechanism != "epoll") {
      return alert(
          "ondemand process manager can ONLY be used when events.mechanism is either "
          "epoll (Linux) or kqueue (*BSD).");
    }
    if (p_.process_idle_timeout_s < 1) {
      return alert("pm.process_idle_timeout(" + std::to_string(p_.process_idle_timeout_s) +
                   "s) must be greater than 0s");
    }
    return true;
  }

  bool page_path(const char* what, const std::string& path) {
    std::string start = std::string("the ") + what + " path '" + path + "' ";
    if (path[0] != '/') return error(start + "must start with a '/'");
    if (path.size() < 2) return error(start + "is not long enough");
    for (char c : path) {
      bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!alnum && std::string_view("/_-.~").find(c) == std::string_view::npos) {
        return error(start + "must contain only the following characters '[alphanum]/_-.~'");
      }
    }
    return true;
  }

  bool status_and_ping() {
    if (fpm_given(p_, "pm.status_listen") && p_.status_path.empty()) p_.status_path = "/";
    bool lone_slash = fpm_given(p_, "pm.status_listen") && p_.status_path == "/";
    if (!p_.status_path.empty() && !lone_slash && !page_path("status", p_.status_path))
      return false;
    if (p_.ping_path.empty()) return true;
    if (!page_path("ping", p_.ping_path)) return false;
    if (p_.ping_response.empty())
      return error("the ping response page '" + p_.ping_response + "' is not long enough");
    return true;
  }

  bool logs() {
    if (!p_.access_log.empty()) p_.access_log = full(p_.access_log);
    if (!p_.slowlog.empty()) p_.slowlog = full(p_.slowlog);
    if (p_.request_slowlog_timeout_s != 0) {
      if (p_.slowlog.empty())
        return error("'slowlog' must be specified for use with 'request_slowlog_timeout'");
      if (int fault = log_fault(p_.slowlog))
        return plain_error("Unable to create or open slowlog(" + p_.slowlog + ")" +
                           errno_words(fault));
      if (p_.request_terminate_timeout_s != 0 &&
          p_.request_slowlog_timeout_s > p_.request_terminate_timeout_s) {
        return error("'request_slowlog_timeout' " + number(p_.request_slowlog_timeout_s) +
                     " can't be greater than 'request_terminate_timeout' " +
                     number(p_.request_terminate_timeout_s));
      }
    }
    int& depth = p_.request_slowlog_trace_depth;
    if (depth == 0 || !fpm_given(p_, "request_slowlog_trace_depth")) {
      depth = 20;
      return true;
    }
    if (p_.slowlog.empty())
      return error("'slowlog' must be specified for use with 'request_slowlog_trace_depth'");
    if (depth < 0)
      return error("'request_slowlog_trace_depth' " + number(depth) + " must be a positive value");
    return true;
  }

  bool directories() {
    if (!p_.chroot.empty()) {
      expand_prefix(&p_.chroot);
      if (p_.chroot[0] != '/')
        return error("the chroot path '" + p_.chroot + "' must start with a '/'");
      if (!is_directory(p_.chroot))
        return error("the chroot path '" + p_.chroot + "' does not exist or is not a directory");
    }
    if (p_.chdir.empty()) return true;
    p_.chdir = full(p_.chdir);
    if (p_.chdir[0] != '/') return error("the chdir path '" + p_.chdir + "' must start with a '/'");
    if (p_.chroot.empty()) {
      return is_directory(p_.chdir) ||
             error("the chdir path '" + p_.chdir + "' does not exist or is not a directory");
    }
    std::string within = p_.chroot + "/" + p_.chdir;
    return is_directory(within) ||
           error("the chdir path '" + p_.chdir + "' within the chroot path '" + p_.chroot + "' ('" +
                 within + "') does not exist or is not a directory");
  }

  // chroot alone may begin with $prefix.
  void expand_prefix(std::string* path) {
    constexpr std::string_view kToken = "$prefix";
    if ((*path)[0] == '/') return;
    size_t at = path->find(kToken);
    if (at != std::string::npos && at != 0) {
      plain_error("'$prefix' must be use at the beginning of the value");
      return;
    }
    if (at == 0) path->erase(0, kToken.size());
    *path = path->empty() ? fpm_full_path(prefix_, default_prefix_) : full("./" + *path);
    if (size_t dot = path->find("/./"); dot != std::string::npos) path->erase(dot, 2);
  }

  bool values() {
    if (!fpm_given(p_, "chroot")) {
      for (PhpDefine& d : p_.php_values) {
        for (std::string_view name : kPathSettings) {
          if (fpm_same_name(d.name, name)) d.value = full(d.value);
        }
      }
    }
    for (auto [name, value] : p_.env_written) {
      if (value[0] == '$') {
        const char* own = getenv(value.c_str() + 1);
        value = own ? own : "";
      }
      p_.env.emplace_back(std::move(name), std::move(value));
    }
    return true;
  }

  const FpmOptions& options_;
  FpmConfig* config_;
  PoolConfig& p_;
  std::string default_prefix_, prefix_;
};

bool fail(FpmConfig* config, std::string text) {
  config->messages.push_back({FpmLevel::kError, std::move(text)});
  return false;
}

// Bulkhead always waits with epoll; the other names are taken as php-fpm takes them.
bool check_mechanism(FpmConfig* config) {
  std::string& mechanism = config->global.events_mechanism;
  if (mechanism.empty()) mechanism = "epoll";
  for (std::string_view name : {"epoll", "poll", "select"}) {
    if (!fpm_same_name(mechanism, name)) continue;
    mechanism = name;
    return true;
  }
  return fail(config, "event mechanism '" + mechanism + "' is not available on this system");
}

bool check_global(const FpmOptions& options, FpmConfig* config) {
  FpmGlobal& g = config->global;
  const std::string state = options.prefix.empty() ? kStateDir : options.prefix;
  if (!options.pid_override.empty()) g.pid = options.pid_override;
  if (!g.pid.empty()) g.pid = fpm_full_path(g.pid, state);
  if (g.log_limit < kLogLimitMin)
    return fail(config, "log_limit must be greater than " + std::to_string(kLogLimitMin));
  if (g.process_max < 0) return fail(config, "process_max can't be negative");
  if (g.process_priority != kPriorityUnset &&
      (g.process_priority < kPriorityMin || g.process_priority > kPriorityMax))
    return fail(config, "process.priority must be included into [-19,20]");
  if (!fpm_given(g, "error_log")) g.error_log = "log/php-fpm.log";
  if (g.error_log != "syslog") {
    g.error_log = fpm_full_path(g.error_log, state);
    if (int fault = log_fault(g.error_log))
      return fail(config, "failed to open error_log (" + g.error_log + ")" + errno_words(fault));
  }
  return check_mechanism(config);
}

// Two pools must not listen at one address; a pool's status address counts as a pool "NAME_status"
// that stands after all others.
bool check_addresses(FpmConfig* config) {
  for (const PoolConfig& p : config->pools) {
    if (fpm_given(p, "pm.status_listen") && p.status_listen.empty()) {
      config->messages.push_back({FpmLevel::kAlert, "[pool " + p.name +
                                                        "_status] no listen address have been "
                                                        "defined!"});
      return false;
    }
  }
  std::unordered_map<std::string, std::string> owner;
  auto take = [&](const std::string& address, const std::string& name) {
    auto [it, is_new] = owner.emplace(address, name);
    if (is_new) return true;
    return fail(config, "[pool " + name +
                            "] unable to set listen address as it's already used in another pool "
                            "'" +
                            it->second + "'");
  };
  for (const PoolConfig& p : config->pools) {
    if (!take(p.listen, p.name)) return false;
  }
  for (const PoolConfig& p : config->pools) {
    if (!p.status_listen.empty() && !take(p.status_listen, p.name + "_status")) return false;
  }
  return true;
}

bool check_access_logs(FpmConfig* config) {
  for (const PoolConfig& p : config->pools) {
    if (!fpm_given(p, "access.log")) continue;
    if (int fault = log_fault(p.access_log))
      return fail(config, "failed to open access log (" + p.access_log + ")" + errno_words(fault));
    std::string wrong = fpm_access_format_fault(p.access_format);
    if (wrong.empty()) continue;
    config->messages.push_back({FpmLevel::kWarning, std::move(wrong)});
    return fail(config,
                "[pool " + p.name + "] wrong format for access.format '" + p.access_format + "'");
  }
  return true;
}

}  // namespace

bool fpm_post_process(const FpmOptions& options, FpmConfig* config) {
  if (!check_global(options, config)) return false;
  if (config->pools.empty()) {
    return fail(config,
                "No pool defined. at least one pool section must be specified in config file");
  }
  for (PoolConfig& p : config->pools) {
    if (!PoolCheck(options, config, &p).run()) return false;
  }
  return check_addresses(config) && check_access_logs(config);
}

}  // namespace bulkhead::config
